// What the mock of the dashboard's API knows: 10,000 pages and 400 days, the same at every run.

const DAY_MS = 86_400_000;
/** The mock's "now": a fixed day, so that screenshots change only with the dashboard. */
export const NOW = "2026-11-24T12:00:03Z";
export const SHARDS = ["redis_7070", "redis_7071", "redis_7072", "redis_7073"];

/** Page ids that an attacker or an odd site may have recorded. All of them are valid ids. */
export const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  `"'><script>alert(1)</script>`,
  "\u202Egpj.exe\u202C \u200Fright to left",
  `long/${"x".repeat(507)}`,
  '=HYPERLINK("https://example.org";"click")',
  "a&b=c#d?e%2Fé+f",
  " padded ",
];

/** A small generator (mulberry32), so that every run has the same figures. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const dayName = (ago) => new Date(Date.parse(NOW) - ago * DAY_MS).toISOString().slice(0, 10);

/** `count` days up to today, oldest first, with weekends, a slow growth and some peaks. */
export function daysOf(scale, seed, count = 400) {
  const random = generator(seed);
  return Array.from({ length: count }, (_, index) => {
    const ago = count - 1 - index;
    const weekday = new Date(Date.parse(NOW) - ago * DAY_MS).getUTCDay();
    const part = ago === 0 ? 0.5 : 1; // today is half over
    const week = part * (weekday === 0 || weekday === 6 ? 0.6 : 1);
    const peak = random() > 0.98 ? 2.2 : 1;
    const people = Math.round(scale * week * peak * (0.6 + (0.6 * index) / count) * (0.85 + 0.3 * random()));
    const visitors = Math.round(people * (0.5 + 0.1 * random()));
    return { day: dayName(ago), people, bots: Math.round(scale * (0.1 + 0.15 * random())), visitors };
  });
}

const KNOWN = ["home", "blog", "docs/start", "about", "blog/café-au-lait"];
const SECTIONS = ["blog", "docs", "news", "guide", "talks"];
const WORDS = ["coffee", "garden", "letters", "rivers", "maps", "winter", "bread", "music", "trains", "stars"];

/** A fresh set of pages by id, each `{people, bots}` of all time; `perDay` is what it gets on a day. */
export function makePages({ hostile = true } = {}) {
  const pages = new Map();
  const add = (id, perDay) => {
    pages.set(id, { perDay, people: Math.round(perDay * 370), bots: Math.round(perDay * 55) });
  };
  for (const [rank, id] of KNOWN.entries()) add(id, 900 / (rank + 1));
  if (hostile) for (const [rank, id] of HOSTILE.entries()) add(id, 120 - rank * 6);
  for (let index = 0; pages.size < 10_000; index += 1) {
    const section = SECTIONS[index % SECTIONS.length];
    add(`${section}/${WORDS[Math.floor(index / 5) % WORDS.length]}-${index}`, 160 / (index + 2));
  }
  return pages;
}
