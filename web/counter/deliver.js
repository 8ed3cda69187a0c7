// Sends visits: gathered for a moment, few at a time, again only where none was counted, and as a beacon when the page is
// left.
import { GATHER, LONGEST_WAIT, TRIES, UNANSWERED, VISITS_TOGETHER } from "./limits.js";
import { soon } from "./soon.js";

/** The problem types of a 503 that say that nothing was counted: all of the counter's but one. */
const NOT_COUNTED = /^urn:visits:problem:(?!not-confirmed)/;

const VISITS = "/visits";

/** Returns a function that takes a page id and brings it to the counter at `base`. */
export const deliverer = (base) => {
  const queue = [];
  let tries = 0;
  let unanswered = 0;

  const take = () => queue.splice(0, VISITS_TOGETHER);
  const beacon = (path, body) => navigator.sendBeacon(base + path, body);

  // A text body needs no preflight. All requests with `keepalive` of a page share 64 KiB, other libraries' too, and one
  // that finds no room fails as a broken connection does, but before it is sent. A beacon tells them apart: a request
  // that was sent has just made room for one of its size. Two brackets and blanks count nothing, should they be sent.
  const post = (pages, keepalive) => {
    const body = JSON.stringify(pages);
    return fetch(base + VISITS, { method: "POST", body, keepalive, credentials: "omit" }).catch((error) => {
      if (keepalive && !beacon(VISITS, "[]".padEnd(new Blob([body]).size))) return post(pages);
      throw error;
    });
  };

  const send = async () => {
    // The next answer sends what waits.
    if (unanswered > UNANSWERED || !queue[0]) return;
    const pages = take();
    unanswered += pages.length;
    let wait = GATHER;
    // A request without an answer may have been counted, and so may one whose 503 is not the counter's own (a gateway
    // says it also when an invocation took too long): neither is sent again.
    try {
      const answer = await post(pages, true);
      if (answer.ok) tries = 0;
      const { status } = answer;
      if (status === 429 || (status === 503 && NOT_COUNTED.test((await answer.json()).type))) {
        queue.unshift(...pages);
        const asked = +answer.headers.get("retry-after") || 2 ** tries;
        // Browsers that were refused together must not come back together.
        wait = tries++ < TRIES && Math.min(asked, LONGEST_WAIT) * (1000 + 500 * Math.random());
      }
    } catch {}
    unanswered -= pages.length;
    if (wait && queue[0]) later(wait);
  };

  const later = soon(send);

  // A beacon that finds no room is split into requests without a body, which need none.
  const leave = () => {
    while (queue[0]) {
      const pages = take();
      if (!beacon(VISITS, JSON.stringify(pages)))
        for (const page of pages) beacon(`/visit/${encodeURIComponent(page)}`);
    }
  };
  addEventListener("pagehide", leave);
  // On a phone the last event before a page is ended.
  document.addEventListener("visibilitychange", () => document.hidden && leave());

  return (page) => {
    queue.push(page);
    later(GATHER);
  };
};
