// Which page this is: the id that its visits are counted under. The rules are in docs/COUNTER_JS.md.

/** Percent-decodes once, as the counter's own routes do; an address with a broken escape stays as it is. */
const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** What the canonical link names, or the address where there is none or it is no address. */
export const canonical = () => {
  try {
    return new URL(document.querySelector("link[rel=canonical]").href);
  } catch {
    return location;
  }
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
 * Whether the counter takes this id: 1 to 512 bytes of UTF-8 without control characters. One that it does not take
 * would have it refuse all that are sent with it.
 */
export const isPageId = (page) => page && !/\p{Cc}/u.test(page) && new Blob([page]).size < 513;
