/**
 * Dialogs and sheets: `data-opens="id"` on a link or button opens the `<dialog id>`; without scripts the
 * link goes where it points. A click on the backdrop closes, and so do Back and `data-closes` inside.
 */
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  const dialog = opener && document.getElementById(opener.dataset.opens);
  if (dialog instanceof HTMLDialogElement) {
    event.preventDefault();
    openDialog(dialog);
    return;
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
  if (event.target instanceof HTMLDialogElement && outside(event)) event.target.close();
});

/** An open dialog is a step of the way: Back closes it, and the page stays. */
export function openDialog(dialog) {
  if (dialog.open) return;
  dialog.showModal();
  history.pushState({ ...history.state, dialog: dialog.id }, "");
  dialog.addEventListener("close", () => history.state?.dialog === dialog.id && history.back(), { once: true });
}

addEventListener("popstate", () => document.querySelector("dialog:modal")?.close());

function outside({ target, clientX, clientY }) {
  const box = target.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}
