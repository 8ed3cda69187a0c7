// The owner's changes to a page, each asked about in a dialog and made exactly once.
import { deletePage, setCount } from "./api.js";
import { byId, setText } from "./dom.js";
import { hiddenIn, number } from "./words.js";

const LATER = "Visits that are still being gathered are added afterwards.";
const KEPT = `Its visits by bots become 0. Its days stay, and so do the figures of the whole site. ${LATER}`;
const CHANGES = {
  set: {
    title: "Set the count",
    words: `The page’s count becomes exactly this number. ${KEPT}`,
    button: "Set the count",
  },
  reset: {
    title: "Reset the count to zero?",
    words: `The page’s count becomes 0. ${KEPT}`,
    button: "Reset to zero",
  },
  delete: {
    title: "Delete this page?",
    words: `The page’s count and its whole history are deleted. This cannot be undone. Its visits stay in the figures of the whole site: of all time, and of each day. ${LATER}`,
    button: "Delete",
  },
};

let current = null; // the change that the open dialog is about

/** One key for one intended change: a retry sends it again, another number is another change. */
function keyFor(count) {
  if (current.key === null || current.count !== count) {
    current.key = crypto.randomUUID();
    current.count = count;
  }
  return current.key;
}

/** Opens the dialog for `set`, `reset` or `delete`. */
export function confirmChange(name, { page }, { changed, signedOut }) {
  current = { name, page, key: null, count: null, changed, signedOut };
  const { title, words, button } = CHANGES[name];
  setText(byId("confirm-title"), title);
  setText(byId("confirm-page"), page);
  setText(byId("confirm-words"), words);
  setText(byId("confirm-do"), button);
  const hidden = hiddenIn(page);
  setText(byId("confirm-hidden"), hidden);
  byId("confirm-hidden").hidden = hidden === "";
  setText(byId("confirm-error"), "");
  byId("confirm-do").classList.toggle("danger", name === "delete");
  byId("confirm-count").hidden = name !== "set";
  byId("count").disabled = name !== "set"; // a hidden field must not stop the form
  // Empty: which of the figures is the count that visitors see depends on a setting (VISITS_COUNT).
  byId("count").value = "";
  byId("confirm").showModal();
  // The harmless control first: Enter must not delete by accident.
  (name === "set" ? byId("count") : byId("confirm-cancel")).focus();
}

/** Wires the dialog, once. */
export function setUpChanges() {
  const dialog = byId("confirm");
  byId("confirm-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    current = null;
  });
  byId("confirm-form").addEventListener("submit", (event) => {
    event.preventDefault();
    make(current);
  });
}

async function make(change) {
  if (!change || change.busy) return;
  const { name, page } = change;
  const count = name === "set" ? byId("count").valueAsNumber : 0;
  const key = keyFor(count);
  change.busy = true;
  byId("confirm-do").setAttribute("aria-disabled", "true");
  setText(byId("confirm-error"), "");
  try {
    const answer = name === "delete" ? await deletePage(page, key) : await setCount(page, count, key);
    // Closed by hand meanwhile or not: the change was made, and is told.
    if (current === change) byId("confirm").close();
    change.changed(told(name, answer), { page, name });
  } catch (failure) {
    failed(change, failure);
  } finally {
    change.busy = false;
    byId("confirm-do").removeAttribute("aria-disabled");
  }
}

function failed(change, failure) {
  if (failure.status === 401) {
    byId("confirm").close();
    change.signedOut();
    return;
  }
  if (current !== change) return;
  const again = " The change may or may not have been made. Trying again is safe: it is made once.";
  setText(byId("confirm-error"), failure.unclear ? failure.message + again : failure.message);
  if (failure.unclear) setText(byId("confirm-do"), "Try again");
  else change.key = null; // refused for good: what comes next is another change
}

function told(name, { count, previous, repeated }) {
  const made = name === "delete" ? "The page is deleted." : `The count is now ${number(count)}.`;
  const before = ` Before it was ${number(previous)}.`;
  return made + before + (repeated ? " An earlier try had already made the change." : "");
}
