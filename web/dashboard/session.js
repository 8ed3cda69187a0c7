// Signing in and out. The token goes to the server once and comes back as a cookie that no script can read.
import { signIn, signOut } from "./api.js";
import { byId, setText } from "./dom.js";

function wordsFor(failure) {
  if (failure.kind === "unauthorized") return "This is not the owner’s token. Check it and try again.";
  return failure.message;
}

/** Wires both forms. `signedIn` and `signedOut` show what comes next; `closed` says that no token is configured. */
export function setUpSession({ signedIn, signedOut, closed }) {
  const token = byId("token");
  const error = byId("sign-in-error");
  byId("sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    setText(error, "");
    try {
      await signIn(token.value.trim());
      token.value = "";
      token.removeAttribute("aria-invalid");
      signedIn();
    } catch (failure) {
      if (failure.kind === "owner-token-missing") return closed();
      token.setAttribute("aria-invalid", String(failure.kind === "unauthorized"));
      setText(error, wordsFor(failure));
      token.focus();
      token.select();
    }
  });
  byId("sign-out").addEventListener("click", async () => {
    try {
      await signOut();
      signedOut("You are signed out.");
    } catch (failure) {
      // Still signed in: saying otherwise would leave the figures open to the next person.
      signedOut(null, `You are still signed in. ${failure.message}`);
    }
  });
}
