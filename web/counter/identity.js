// Which page this is: the id that its visits are counted under. The rules are in docs/COUNTER_JS.md.

/** Percent-decodes once, as the counter's own routes do; an address with a broken escape stays as it is. */
const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const site = ({ origin }) => origin.replace(/^https?:..(www\.)?/, "");

/**
 * Returns the address that the canonical link names, or the page's own. A link to another site is not this page, and
 * one to the root from another path is a mistake of many templates.
 */
export const canonical = () => {
  try {
    const url = new URL(document.querySelector("link[rel~=canonical]").href);
    if (site(url) === site(location) && (url.pathname[1] || !location.pathname[1])) return url;
  } catch {}
  return location;
};

/** What gives the page id of an address, by the attributes of the script's tag. */
export const identity = (options) => (url) => {
  if (options.pageId) return options.pageId;
  let path = decoded(url.pathname);
  if (options.slash !== "keep") path = path.replace(/\/+$/, "");
  let page = options.page === "host-path" ? url.host + path : path.slice(1) || "/";
  const kept = options.query?.split(/[\s,]+/);
  const query = [...new URLSearchParams(url.search)].filter(([name]) => kept?.includes(name));
  // Sorted, since ?a=1&b=2 and ?b=2&a=1 are one page.
  if (query[0])
    page += `?${query
      .map((pair) => pair.join("="))
      .sort()
      .join("&")}`;
  return "hash" in options ? page + decoded(url.hash) : page;
};

/**
 * Returns whether the counter takes this id, and warns where it does not: it would refuse all that are sent with it.
 * What is no well-formed Unicode has no encoding, and throws.
 */
export const isPageId = (page) => {
  try {
    if (page === `${page}` && /^\P{Cc}+$/u.test(page) && encodeURIComponent(page).replace(/%../g, 0).length < 513)
      return true;
  } catch {}
  console.warn("visits: not a page id (1 to 512 bytes of text, no control characters):", page);
};
