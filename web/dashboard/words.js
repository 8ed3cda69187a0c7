// Figures, dates and page ids in plain words.

// The page is English: a browser set to another language gets English forms, not a mixture.
const locale = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const whole = new Intl.NumberFormat(locale);
const tenth = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const dayForm = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const shortDayForm = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const clockForm = new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone: "UTC" });

/** What each series is called. `people` and `bots` are visits, not persons. */
export const LABELS = { people: "Visits by people", visitors: "Unique visitors", bots: "Visits by bots" };

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A figure; a dash where the server knows none. */
export const number = (value) => (known(value) ? whole.format(value) : "–");

/** A figure for an axis: `12K`. */
export const shortNumber = (value) => compact.format(value);

/** `1 visit`, `2 visits`. */
export const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** `24 Nov 2026`, of a day `YYYY-MM-DD`, which is a date in UTC. */
export const date = (day) => dayForm.format(Date.parse(day));

/** `24 Nov`. */
export const shortDate = (day) => shortDayForm.format(Date.parse(day));

/** `12:00 UTC`, of an RFC 3339 instant: days are of UTC, and a clock of another zone beside them would mislead. */
export const clock = (instant) => `${clockForm.format(new Date(instant))} UTC`;

/** `0.4 ms`. */
export const milliseconds = (value) => (known(value) ? `${tenth.format(value)} ms` : "–");

/** The sum of one series; `null` where no day knows it. */
export function sum(days, name) {
  const values = days.map((day) => day[name]).filter(known);
  return values.length ? values.reduce((total, value) => total + value, 0) : null;
}

/** The moment that the figures are of, in a sentence or two. */
export function freshness({ as_of: asOf, flush_interval_s: interval }) {
  const gathered = known(interval) ? ` Visits of the ${counted(interval, "second")} before may be missing yet.` : "";
  return asOf ? `As of ${clock(asOf)}.${gathered}` : "";
}

/** What a reader cannot see in a page id: pages that look alike may differ in it. Empty when all is plain. */
export function hiddenIn(page) {
  const found = [];
  if (page !== page.trim()) found.push("a space at its start or end");
  // Format characters: marks that change the direction of text, joiners, soft hyphens.
  const marks = new Set(page.match(/\p{Cf}/gu));
  for (const mark of marks) found.push(`U+${mark.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
  return found.length ? `This id has characters that do not show: ${found.join(", ")}.` : "";
}
