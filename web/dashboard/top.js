// The top pages of the chosen days, search among them, and opening a page by its exact id.
import { csv, download } from "./csv.js";
import { byId, element, keepFocus, setText } from "./dom.js";
import { format } from "./place.js";
import { counted, date, number } from "./words.js";

let shown = null;
const rows = new Map(); // by page id, kept over refreshes so that a focused link stays

/** Wires the controls. `go` leads to another place. */
export function setUpTop(go) {
  const text = byId("text");
  byId("limit").addEventListener("change", (event) => go({ limit: Number(event.target.value) }));
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ search: text.value });
  });
  // The field's own "clear" sends no submit.
  text.addEventListener("search", () => text.value === "" && go({ search: "" }));
  byId("open-exact").addEventListener("click", () => {
    if (text.value === "") text.focus();
    else go({ page: text.value });
  });
  byId("top-csv").addEventListener("click", exportTop);
}

let searched = ""; // the place's search as the field shows it

/** Shows the place's choices in the controls; what is being typed stays until another search is shown. */
export function showChoices({ limit, search }) {
  byId("limit").value = String(limit);
  if (search !== searched) byId("text").value = search;
  searched = search;
}

/** One sentence on what the list holds. */
export function topWords({ pages }, search) {
  if (search === "") return pages.length ? "" : "No visits by people in these days.";
  const have = pages.length === 1 ? "has" : "have";
  if (pages.length) return `${number(pages.length)} of the most visited pages ${have} “${search}” in the id.`;
  return `None of the most visited pages of these days has “${search}” in its id. Open a page with few visits by its exact id.`;
}

/** Shows an answer of `GET /top`, with links that keep the place. */
export function showTop(top, place) {
  shown = top;
  setText(byId("top-note"), topWords(top, place.search));
  byId("top").hidden = top.pages.length === 0;
  const most = Math.max(1, ...top.pages.map((entry) => entry.people));
  const body = byId("top").tBodies[0];
  keepFocus(() => {
    const wanted = top.pages.map((entry, index) => rowFor(entry, index, most, place));
    if (wanted.some((row, index) => body.children[index] !== row) || body.children.length !== wanted.length) {
      body.replaceChildren(...wanted);
    }
  });
  forgetOthers(top.pages);
}

/** Says why there is no list; returns the message, or nothing if a list of before stays. */
export function failTop({ message }) {
  if (shown) return "";
  setText(byId("top-note"), `The list cannot be shown. ${message}`);
  byId("top").hidden = true;
  return message;
}

function rowFor({ page, people }, index, most, place) {
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
  name.firstChild.setAttribute("href", format({ ...place, page }));
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
export const topSaid = (top, search) =>
  topWords(top, search) || `${counted(top.pages.length, "page")}, ${date(top.from)} to ${date(top.to)}.`;
