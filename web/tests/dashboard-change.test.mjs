// The owner's changes to a page: asked about, made exactly once, and told; with the keyboard alone.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch } from "./browser.mjs";
import { drawn, MOCK_ONLY, openSignedIn, startSystem } from "./dashboard-kit.mjs";
import { unavailable } from "./dashboard-mock.mjs";

let browser;
let system;
let mock;
let opened;
let page;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  system = await startSystem();
  mock = system.mock;
  if (!mock) return;
  opened = await openSignedIn(browser, system, { hash: "#page=home" });
  page = opened.page;
  mock.requests.length = 0;
});
afterEach(async () => {
  await opened?.context.close();
  await system.stop();
});

const ask = (action) => page.locator(`[data-action=${action}]`).click();
const done = (words) => page.locator("#done", { hasText: words }).waitFor();
const error = () => page.locator("#confirm-error");
const sent = (method) => mock.requests.filter((request) => request.method === method);
const keys = (method) => sent(method).map((request) => request.headers["idempotency-key"]);

async function setTo(count) {
  await page.getByLabel("New count").fill(String(count));
  await page.keyboard.press("Enter");
}

test(
  "a count is set with a key and the header against forged requests, and the new figures are shown",
  MOCK_ONLY,
  async () => {
    await ask("set");
    await setTo(1234567);
    await done("The count is now 1,234,567. Before it was");
    const [put] = sent("PUT");
    assert.equal(put.path, "/visits/home");
    assert.deepEqual(put.body, { count: 1234567 });
    assert.match(put.headers["idempotency-key"], /^[0-9a-f-]{36}$/);
    assert.equal(put.headers["x-requested-with"], "visits");
    await page.locator("#page-total", { hasText: "1,234,567" }).waitFor();
    assert.deepEqual(opened.problems, []);
  },
);

test("a retry after a lost answer sends the same key, so that the change is made once", MOCK_ONLY, async () => {
  mock.faults.lose = "PUT";
  await ask("set");
  await setTo(5);
  await error().getByText("Trying again is safe").waitFor();
  mock.faults.lose = undefined;
  await page.getByRole("button", { name: "Try again" }).click();
  await done("An earlier try had already made the change");
  // Chromium by itself sends a PUT once more when a connection that it had used before breaks: two, or three.
  assert.ok(keys("PUT").length >= 2);
  assert.equal(new Set(keys("PUT")).size, 1);
  assert.equal(mock.done.size, 1);
});

test("a reset that meets a shard that is down keeps its key too", MOCK_ONLY, async () => {
  mock.faults.fail = { method: "PUT", answer: unavailable };
  await ask("reset");
  await page.getByRole("button", { name: "Reset to zero", exact: true }).click();
  await error().getByText("The page's shard does not answer. The change may or may not have been made.").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await done("The count is now 0.");
  const [first, second] = keys("PUT");
  assert.equal(first, second);
  assert.deepEqual(sent("PUT")[1].body, { count: 0 });
});

test("another number after a failure is another change, with a key of its own", MOCK_ONLY, async () => {
  mock.faults.fail = { method: "PUT", answer: unavailable };
  await ask("set");
  await setTo(5);
  await error().getByText("Trying again is safe").waitFor();
  await setTo(6);
  await done("The count is now 6.");
  const [first, second] = keys("PUT");
  assert.notEqual(first, second);
});

test("two changes one after the other have two keys", MOCK_ONLY, async () => {
  for (const count of [8, 8]) {
    await ask("set");
    await setTo(count);
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  }
  assert.equal(new Set(keys("PUT")).size, 2);
});

test("what the server refuses is shown in its words, and the dialog stays open", MOCK_ONLY, async () => {
  const detail = "`count` is a whole number from 0";
  const refused = { ...unavailable, status: 400, body: { ...unavailable.body, status: 400, detail } };
  mock.faults.fail = { method: "PUT", answer: refused };
  await ask("set");
  await setTo(9);
  await error().getByText(`${detail}.`, { exact: true }).waitFor();
  assert.ok(await page.getByRole("dialog").isVisible());
});

test("before a change its dialog says what becomes of bots, days and the site's figures", MOCK_ONLY, async () => {
  const kept = "Its visits by bots become 0. Its days stay, and so do the figures of the whole site.";
  const said = {
    set: `The page’s count becomes exactly this number. ${kept}`,
    reset: `The page’s count becomes 0. ${kept}`,
    delete: "Its visits stay in the figures of the whole site: of all time, and of each day.",
  };
  for (const [action, words] of Object.entries(said)) {
    await ask(action);
    await page.getByRole("dialog").getByText(words).waitFor();
    await page.keyboard.press("Escape");
  }
});

test("on a phone what was done is in sight", MOCK_ONLY, async () => {
  await opened.context.close();
  opened = await openSignedIn(browser, system, { size: "phone", hash: "#page=home" });
  page = opened.page;
  const inSight = () =>
    page.locator("#done").evaluate((line) => {
      const { top, bottom } = line.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });
  await ask("reset");
  await page.getByRole("button", { name: "Reset to zero", exact: true }).click();
  await done("The count is now 0.");
  assert.ok(await inSight());
  await ask("delete");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await done("home: The page is deleted.");
  assert.ok(await inSight());
});

test("deleting a page leads back to the whole site and says so", MOCK_ONLY, async () => {
  await ask("delete");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await done("home: The page is deleted.");
  await drawn(page);
  assert.equal(sent("DELETE")[0].path, "/visits/home");
  assert.equal(await page.evaluate(() => location.hash), "");
  assert.equal(await page.locator("#top").getByText("home", { exact: true }).count(), 0);
});

test("a session that has ended changes nothing and asks to sign in", MOCK_ONLY, async () => {
  await ask("delete");
  mock.faults.expired = true;
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await done("Nothing was changed. Your session has ended. Sign in again.");
  assert.ok(await page.locator("#sign-in").isVisible());
  assert.ok(mock.pages.has("home"));
});

test("the dialog keeps the focus, starts at the harmless button, and gives the focus back", MOCK_ONLY, async () => {
  const opener = page.locator("[data-action=delete]");
  await opener.focus();
  await page.keyboard.press("Enter");
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
  assert.equal(await focused(), "confirm-cancel");
  for (let press = 0; press < 6; press += 1) {
    await page.keyboard.press("Tab");
    // Between the last and the first control the focus is on the browser itself: BODY.
    assert.match(await focused(), /^(confirm|BODY)/);
  }
  await page.keyboard.press("Escape");
  assert.ok(await opener.evaluate((button) => button === document.activeElement));
  assert.deepEqual(sent("DELETE"), []);
});
