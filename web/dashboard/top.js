// The top pages of the chosen days, search among them, and opening a page by its exact id.
import { csv, download } from "./csv.js";
import { byId, element, keepFocus, setText } from "./dom.js";
import { format } from "./place.js";
import { date, number } from "./words.js";

let shown = null;
const rows = new Map(); // by page id, kept over refreshes so that a focused link stays

/** What the owner chose to see: `{limit, search}`. */
export const chosen = { limit: 20, search: "" };

/** Wires the controls. `changed` loads the list again; `open` shows one page. */
export function setUpTop({ changed, open }) {
  const text = byId("text");
  const choose = () => {
    chosen.search = text.value;
    changed();
  };
  byId("limit").addEventListener("change", (event) => {
    chosen.limit = Number(event.target.value);
    changed();
  });
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    choose();
  });
  // The field's own "clear" sends no submit.
  text.addEventListener("search", () => text.value === "" && chosen.search !== "" && choose());
  byId("open-exact").addEventListener("click", () => {
    if (text.value === "") text.focus();
    else open(text.value);
  });
  byId("top-csv").addEventListener("click", exportTop);
}

/** One sentence on what the list holds. */
export function topWords({ pages }, search) {
  if (search === "") return pages.length ? "" : "No visits by people in these days.";
  if (pages.length) return `${number(pages.length)} of the most visited pages have “${search}” in their id.`;
  return `None of the most visited pages of these days has “${search}” in its id. Open a page with few visits by its exact id.`;
}

/** Shows an answer of `GET /top`, with links that keep the chosen `days`. */
export function showTop(top, days) {
  shown = top;
  setText(byId("top-note"), topWords(top, chosen.search));
  byId("top").hidden = top.pages.length === 0;
  const most = Math.max(1, ...top.pages.map((entry) => entry.people));
  const body = byId("top").tBodies[0];
  keepFocus(() => {
    const wanted = top.pages.map((entry, index) => rowFor(entry, index, most, days));
    if (wanted.some((row, index) => body.children[index] !== row) || body.children.length !== wanted.length) {
      body.replaceChildren(...wanted);
    }
  });
  forgetOthers(top.pages);
}

function rowFor({ page, people }, index, most, days) {
  let row = rows.get(page);
  if (!row) {
    const link = element("a", { class: "id" }, element("bdi", {}, page));
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    row = element(
      "tr",
      {},
      element("td", { class: "rank" }),
      element("td", {}, link, bar),
      element("td", { class: "number" }),
    );
    rows.set(page, row);
  }
  const [rank, name, figure] = row.children;
  setText(rank, String(index + 1));
  setText(figure, number(people));
  name.firstChild.setAttribute("href", format({ days, page }));
  // Through the object model: the policy of the page forbids style attributes in markup.
  name.lastChild.style.inlineSize = `${(100 * people) / most}%`;
  return row;
}

function forgetOthers(pages) {
  const kept = new Set(pages.map((entry) => entry.page));
  for (const page of rows.keys()) if (!kept.has(page)) rows.delete(page);
}

/** The link to a page in the list, if it is there. */
export const linkTo = (page) => rows.get(page)?.querySelector("a") ?? null;

function exportTop() {
  if (!shown) return;
  const { from, to, pages } = shown;
  const lines = pages.map(({ page, people }, index) => [index + 1, page, people]);
  download(`visits-top-${from}-to-${to}.csv`, csv(["rank", "page", "people"], lines));
}

/** What to tell a screen reader after the list changed by choice. */
export const topSaid = (top) =>
  topWords(top, chosen.search) || `${number(top.pages.length)} pages, ${date(top.from)} to ${date(top.to)}.`;
