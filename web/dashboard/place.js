// What is shown, kept in the address after `#`, so that it can be bookmarked, and survives a reload and Back:
// `#days=90&search=coffee&page=blog%2Fcaf%C3%A9`. It is never sent to a server.

export const DEFAULT_DAYS = 30;
/** How long the list of top pages is, unless more is chosen. */
const LIMITS = [20, 100];
/** The most days that are kept, and so may be asked for. */
export let maxDays = 400;

export function limitDays(kept) {
  // Where none are kept the API says so in plain words.
  maxDays = kept || 1;
}

/** A number of days that the API takes, or `null`. */
export function daysFrom(text) {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return days >= 1 && days <= maxDays ? days : null;
}

function decoded(text) {
  try {
    // Not a form: a `+` is a plus.
    return decodeURIComponent(text);
  } catch {
    return null; // a bad escape: a link that was cut off
  }
}

/** Reads an address' hash. `page` is null for the overview; `broken` says that a page was meant but is unreadable. */
export function parse(hash) {
  const parts = hash
    .replace(/^#/, "")
    .split("&")
    .filter((part) => part.includes("="));
  const given = new Map(parts.map((part) => [part.split("=", 1)[0], decoded(part.slice(part.indexOf("=") + 1))]));
  return {
    days: daysFrom(given.get("days") ?? "") ?? Math.min(DEFAULT_DAYS, maxDays),
    limit: LIMITS.find((limit) => String(limit) === given.get("limit")) ?? LIMITS[0],
    search: given.get("search") ?? "",
    page: given.get("page") || null,
    broken: given.get("page") === null,
  };
}

/** Returns the hash for a place: the opposite of `parse`. */
export function format({ days, limit, search, page }) {
  const parts = [];
  if (days !== DEFAULT_DAYS) parts.push(`days=${days}`);
  if (limit !== LIMITS[0]) parts.push(`limit=${limit}`);
  if (search) parts.push(`search=${encodeURIComponent(search)}`);
  if (page !== null) parts.push(`page=${encodeURIComponent(page)}`);
  return `#${parts.join("&")}`;
}
