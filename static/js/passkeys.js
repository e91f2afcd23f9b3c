/** Passkeys: allauth's scripts do the ceremony; this says in words what became of it where it fails. */
import { toast } from "./toasts.js";

const WORDS = {
  NotAllowedError: "The passkey was not used: it was cancelled, or took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "Passkeys belong to a name, and this address has none: open it as localhost, not as a number.",
};

document.addEventListener("allauth.error", (event) => {
  event.preventDefault(); // else it is only logged
  const { exception } = event.detail;
  toast(WORDS[exception.name] ?? "The passkey did not work here. Use your password instead.", { tone: "down" });
});

// Where a browser knows no passkeys, nothing offers them.
if (!window.PublicKeyCredential) for (const part of document.querySelectorAll("[data-passkey]")) part.hidden = true;
