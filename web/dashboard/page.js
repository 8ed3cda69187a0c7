// One page: its figures of all time, its days, and the owner's changes to it.
import { confirmChange } from "./change.js";
import { DaysPanel } from "./days.js";
import { byId, fillList, setText } from "./dom.js";
import { hiddenIn, LABELS, number } from "./words.js";

let panel;
let shown = null;

/** Wires the buttons. `changed` is called with a sentence after a change was made. */
export function setUpPage({ changed, signedOut }) {
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", () => {
      if (shown) confirmChange(button.dataset.action, shown, { changed, signedOut });
    });
  }
}

const FIGURES = ["page-none", "page-total-title", "page-total", "page-days", "page-actions"];

function namePage(page, known) {
  for (const id of FIGURES) byId(id).hidden = !known;
  byId("page-failed").hidden = known;
  setText(byId("page-id"), page);
  const hidden = hiddenIn(page);
  setText(byId("page-hidden"), hidden);
  byId("page-hidden").hidden = hidden === "";
}

/** Shows an answer of `GET /history`. The view must be visible. */
export function showPage(history) {
  shown = history;
  const { page, visits, bots, days } = history;
  namePage(page, true);
  fillList(byId("page-total"), [
    ["All visits", number(visits)],
    [LABELS.people, number(Math.max(0, visits - bots))],
    [LABELS.bots, number(bots)],
  ]);
  byId("page-none").hidden = visits + bots > 0 || days.some((day) => day.people + day.bots > 0);
  panel ??= new DaysPanel(byId("page-days"), { mark: "first-page-chart", fileName });
  panel.show(days);
}

/** Names the page and says why its figures did not come; returns the message, or nothing if figures of before stay. */
export function failPage(page, { message }) {
  if (shown?.page === page) return "";
  shown = null;
  namePage(page, false);
  setText(byId("page-failed"), `The figures of this page cannot be shown. ${message}`);
  return message;
}

/** Forgets the figures of another page, so that no button changes the wrong one. */
export function leavePage() {
  shown = null;
}

/** A page id may hold what a file name may not. */
function fileName(days) {
  const name = shown.page.replace(/[^\p{L}\p{N}.-]+/gu, "_").slice(0, 60);
  return `visits-${name}-${days[0].day}-to-${days.at(-1).day}`;
}
