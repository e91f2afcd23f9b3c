/** `<copy-button value="US0378331005"><button type="button">…</button></copy-button>`: copies, and says so. */
import { toast } from "../toasts.js";

class CopyButton extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", () => this.copy());
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.getAttribute("value"));
      toast("Copied.", { tone: "up" });
    } catch {
      toast("Your browser does not let us copy. Select the text instead.", { tone: "warn" });
    }
  }
}

customElements.define("copy-button", CopyButton);
