// Shows counts: fills the elements that have a data-visits attribute.
import { isPageId } from "./identity.js";
import { COUNTS_TOGETHER, LONGEST_QUERY, SETTLE } from "./limits.js";
import { soon } from "./soon.js";

/** What fills the elements that are not filled yet; `current` gives the id that an empty attribute stands for. */
export const filler = (base, current) => {
  const asked = new WeakMap();
  const elements = () => document.querySelectorAll("[data-visits]");

  const show = ({ visits }) => {
    for (const { page, count } of visits) {
      for (const element of elements()) {
        // Not where the count is not known, nor one that stands for another page by now. Digits in groups, as in a badge.
        if (count != null && asked.get(element) === page) element.textContent = count.toLocaleString("en");
      }
    }
  };

  const ask = (pages) =>
    fetch(`${base}/visits?${pages.join("&")}`, { credentials: "omit" })
      .then((answer) => answer.json())
      .then(show)
      // What the elements held before stays.
      .catch(() => {});

  return () => {
    const wanted = new Set();
    for (const element of elements()) {
      const page = element.dataset.visits || current();
      if (asked.get(element) !== page && isPageId(page)) wanted.add(`page=${encodeURIComponent(page)}`);
      asked.set(element, page);
    }
    const pages = [];
    for (const page of wanted) {
      if (pages.length === COUNTS_TOGETHER || (pages + page).length > LONGEST_QUERY) ask(pages.splice(0));
      pages.push(page);
    }
    if (pages[0]) ask(pages);
  };
};

/** Calls `fill` soon after the document changed. */
export const watch = (fill) => {
  const later = soon(fill);
  new MutationObserver(() => later(SETTLE)).observe(document, {
    childList: true,
    subtree: true,
    attributeFilter: ["data-visits"],
  });
};
