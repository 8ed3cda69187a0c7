// Sends visits: gathered for a moment, again only after an answer that says they were not counted, and as a beacon
// when the page is left.
import { GATHER, LONGEST_WAIT, TRIES, VISITS_TOGETHER } from "./limits.js";
import { soon } from "./soon.js";

/** The problem types of a 503 that say that nothing was counted: all of the counter's but one. */
const NOT_COUNTED = /^urn:visits:problem:(?!not-confirmed)/;

/** What takes page ids and brings them to `url`. */
export const deliverer = (url) => {
  const queue = [];
  let tries = 0;

  const empty = (send) => {
    while (queue[0]) {
      const pages = queue.splice(0, VISITS_TOGETHER);
      send(JSON.stringify(pages), pages);
    }
  };

  // A text body needs no preflight. A request without an answer may have been counted, and so may one whose 503 is
  // not the counter's own (a gateway says it also when an invocation took too long): neither is sent again.
  const post = (body, pages) =>
    fetch(url, { method: "POST", body, keepalive: true, credentials: "omit" })
      .then(async (answer) => {
        if (answer.ok) tries = 0;
        const { status } = answer;
        if (status === 429 || (status === 503 && NOT_COUNTED.test((await answer.json()).type))) {
          queue.unshift(...pages);
          const asked = +answer.headers.get("retry-after") || 2 ** tries;
          // Browsers that were refused together must not come back together.
          if (tries++ < TRIES) later(Math.min(asked, LONGEST_WAIT) * (1000 + 500 * Math.random()));
        }
      })
      .catch(() => {});

  const later = soon(() => empty(post));
  const leave = () => empty((body) => navigator.sendBeacon(url, body));
  addEventListener("pagehide", leave);
  // On a phone the last event before a page is ended.
  document.addEventListener("visibilitychange", () => document.hidden && leave());

  return (page) => {
    queue.push(page);
    later(GATHER);
  };
};
