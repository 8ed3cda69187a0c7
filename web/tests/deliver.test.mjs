// How visits get to the counter: what is tried again, when, and what goes out as the page is left. The page's timers are
// held, and run when a test says.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { eventually, launch, openPage } from "./browser.mjs";
import { BREAK, counter, HOLD, html, problem, serve, site, tag } from "./mock.mjs";

const THROTTLED = { status: 429, body: '{"message":"Too Many Requests"}' };
const GATEWAY = { status: 503, body: '{"message":"Service Unavailable"}' };

let browser;
let mock;
let pages;
let open;

before(async () => {
  browser = await launch();
  pages = await site(() => html(tag(mock)));
});
after(async () => {
  await browser.close();
  await pages.stop();
});
beforeEach(async () => {
  mock = await counter();
  open = await openPage(browser);
  await open.page.addInitScript(() => {
    let timers = [];
    window.setTimeout = (act, wait) => timers.push({ act, wait });
    window.waits = () => timers.map(({ wait }) => wait).filter((wait) => wait >= 1000);
    window.runTimers = () => {
      const due = timers;
      timers = [];
      for (const { act } of due) act();
    };
  });
});
afterEach(async () => {
  await open.context.close();
  await mock.stop();
});

const run = () => open.page.evaluate(() => window.runTimers());
const leave = () => open.page.goto("about:blank");
const record = (page) => open.page.evaluate((page) => window.visits.record(page), page);

/** Opens /page, whose visit gets the answers. */
async function visit(...answers) {
  mock.answers = answers;
  await open.page.goto(`${pages.origin}/page`);
  await run();
}

/** The wait in seconds before the next try, once there is one. */
async function wait() {
  const waits = await eventually("a wait", async () => {
    const found = await open.page.evaluate(() => window.waits());
    return found.length > 0 && found;
  });
  assert.equal(waits.length, 1);
  return waits[0] / 1000;
}

/** All visits that came in, after one more was recorded and delivered, and the page was left. */
async function all() {
  for (const last of ["nearly the end", "the end"]) {
    await record(last);
    await run();
    await eventually(last, () => mock.visits().includes(last));
  }
  await leave();
  return mock.visits().slice(0, -2);
}

test("a refusal that says that nothing was counted is tried again", async () => {
  const refusals = [
    THROTTLED,
    problem(503, "buffer-full"),
    problem(503, "shutting-down"),
    problem(503, "store-unavailable"),
  ];
  await visit(...refusals);
  for (let times = 1; times <= refusals.length; times++) {
    await mock.received(times);
    await wait();
    await run();
  }
  await mock.received(refusals.length + 1);
  assert.equal(mock.counts.get("page"), 1);
  assert.equal((await all()).length, refusals.length + 1);
});

for (const [what, answer] of [
  ["a visit that may have been counted", problem(503, "not-confirmed", { "retry-after": "1" })],
  ["a gateway's own 503, which says nothing of the visit,", GATEWAY],
  ["a broken connection", BREAK],
  ["a refused page", problem(403, "page-not-allowed")],
  ["a failure", problem(500, "internal")],
]) {
  test(`${what} is not tried again`, async () => {
    await visit(answer);
    await mock.received(1);
    assert.deepEqual(await all(), ["page"]);
  });
}

test("the wait is as long as Retry-After asks, up to a minute, and up to half as much again", async () => {
  for (const [asked, least] of [
    ["7", 7],
    ["3600", 60],
    ["Wed, 25 Nov 2026 00:00:00 GMT", 1],
    ["0", 1],
  ]) {
    await visit(problem(503, "buffer-full", { "retry-after": asked }));
    const waited = await wait();
    assert.ok(waited >= least && waited <= 1.5 * least, `${asked}: ${waited}`);
    await leave();
    // The beacon, before the next answer is laid out.
    await mock.received(2);
    mock.asked.length = 0;
  }
});

test("without Retry-After waits double, and after five tries only leaving tries once more", async () => {
  await visit(...Array(6).fill(THROTTLED));
  for (const least of [1, 2, 4, 8, 16]) {
    const waited = await wait();
    assert.ok(waited >= least && waited <= 1.5 * least, `${least}: ${waited}`);
    await run();
  }
  await mock.received(6);
  // Asked after the sixth answer, answered after it.
  await open.page.evaluate((url) => fetch(url).then((answer) => answer.text()), `${mock.origin}/visits?page=page`);
  assert.deepEqual(await open.page.evaluate(() => window.waits()), []);
  await leave();
  await mock.received(7);
  assert.equal(mock.posts()[6].headers["sec-fetch-mode"], "no-cors");
  assert.equal(mock.counts.get("page"), 1);
});

test("what is recorded during a wait does not end it, and goes out with what waits", async () => {
  await visit(THROTTLED);
  await wait();
  await record("next");
  await wait();
  assert.equal(mock.posts().length, 1);
  await run();
  await mock.received(3);
  assert.deepEqual(mock.posts()[1].pages, ["page", "next"]);
});

test("what is queued when the page is left goes out as a beacon, once", async () => {
  await open.page.goto(`${pages.origin}/page`);
  await record("more");
  await leave();
  assert.deepEqual(await mock.received(2), ["page", "more"]);
  const [beacon, ...others] = mock.posts();
  assert.equal(beacon.headers["sec-fetch-mode"], "no-cors");
  assert.match(beacon.headers["content-type"], /^text\/plain/);
  assert.deepEqual(others, []);
});

test("a hidden page sends what it has: it may never be shown again", async () => {
  await open.page.goto(`${pages.origin}/page`);
  await open.page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await mock.received(1);
  assert.deepEqual(await all(), ["page"]);
});

test("a refused visit that waits goes out as a beacon", async () => {
  await visit(problem(503, "buffer-full", { "retry-after": "60" }));
  await wait();
  await leave();
  assert.deepEqual(await mock.received(2), ["page", "page"]);
  assert.equal(mock.counts.get("page"), 1);
});

test("a request without an answer yet is not sent again by leaving", async () => {
  await visit(HOLD);
  await mock.received(1);
  await leave();
  await visit();
  await mock.received(2);
  assert.equal(mock.counts.get("page"), 1);
  assert.deepEqual(await all(), ["page", "page"]);
});

/** What a browser lets all requests of a page with `keepalive` hold together, in bytes. */
const KEEPALIVE = 65_536;

/** Opens /page beside another library's request that keeps `bytes` of that limit; `act` then goes on. */
async function beside(bytes, act) {
  const other = await serve(() => {});
  await open.page.addInitScript(
    ([url, bytes]) => {
      fetch(url, { method: "POST", body: "x".repeat(bytes), keepalive: true, mode: "no-cors" });
    },
    [other.origin, bytes],
  );
  try {
    await open.page.goto(`${pages.origin}/page`);
    await act();
  } finally {
    await open.page.goto("about:blank");
    await other.stop();
  }
}

/** Ids of 437 bytes. */
const longIds = (number) => Array.from({ length: number }, (_, at) => `${at}/`.padEnd(437, "x"));

const recordAll = (pages) =>
  open.page.evaluate((pages) => {
    for (const page of pages) window.visits.record(page);
  }, pages);

/** Asserts that each page came in and was counted, and once. */
async function countedOnce(expected) {
  await eventually(`${expected.length} pages, there are ${mock.counts.size}`, async () => {
    await run().catch(() => {});
    return mock.counts.size >= expected.length;
  });
  assert.deepEqual([...mock.counts].sort(), expected.map((page) => [page, 1]).sort());
}

test("150 visits of long ids each count once", async () => {
  await visit();
  await mock.received(1);
  await recordAll(longIds(150));
  await countedOnce(["page", ...longIds(150)]);
});

test("visits beyond 40 wait for an answer, so that half of the limit is left to others, and leaving sends them", async () => {
  await visit(HOLD, HOLD);
  await mock.received(1);
  await recordAll(longIds(150));
  await run();
  await mock.received(41);
  await record("one more");
  await run();
  await open.page.evaluate((url) => fetch(url).then((answer) => answer.text()), `${mock.origin}/visits?page=page`);
  assert.deepEqual(mock.visits(), ["page", ...longIds(40)]);
  await leave();
  await countedOnce([...longIds(150).slice(40), "one more"]);
});

test("a visit that finds no room in the limit counts once", async () => {
  await beside(65_530, async () => {
    await countedOnce(["page"]);
    await record("more");
    await countedOnce(["page", "more"]);
  });
});

test("a connection that breaks beside a full limit is not tried again", async () => {
  mock.answers = [BREAK];
  await beside(KEEPALIVE - JSON.stringify(["page"]).length, async () => {
    await run();
    await mock.received(1);
    assert.deepEqual(await all(), ["page"]);
  });
});

test("what is queued when the page is left counts once, where the limit is full as where it is too much for it", async () => {
  const ids = ["a/b", "%2F", "é? #&", "/"];
  await beside(KEEPALIVE, async () => {
    await recordAll(ids);
    await leave();
    await countedOnce(["page", ...ids]);
  });
  mock.counts.clear();
  await open.page.goto(`${pages.origin}/page`);
  await recordAll(longIds(150));
  await leave();
  await countedOnce(["page", ...longIds(150)]);
});
