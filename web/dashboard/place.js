// What is shown, kept in the address after `#`, so that a page's history can be bookmarked and Back works:
// `#days=90&page=blog%2Fcaf%C3%A9`. It is never sent to a server.

export const DEFAULT_DAYS = 30;
/** The most days that the API gives at once; fewer where fewer are kept. */
export let maxDays = 400;

export function limitDays(kept) {
  // Where none are kept the API says so in plain words.
  maxDays = Math.min(400, kept) || 1;
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
  const place = { days: Math.min(DEFAULT_DAYS, maxDays), page: null, broken: false };
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    const value = decoded(part.slice(at + 1));
    const name = at < 0 ? "" : part.slice(0, at);
    if (name === "days") place.days = daysFrom(value ?? "") ?? place.days;
    if (name !== "page") continue;
    place.page = value || null;
    place.broken = value === null;
  }
  return place;
}

/** The hash for a place: the opposite of `parse`. */
export function format({ days, page }) {
  const parts = [];
  if (days !== DEFAULT_DAYS) parts.push(`days=${days}`);
  if (page !== null) parts.push(`page=${encodeURIComponent(page)}`);
  return `#${parts.join("&")}`;
}
