// What an owner does with the dashboard: signs in, looks for pages, opens one, exports, and sees what is wrong.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch } from "./browser.mjs";
import { HOSTILE } from "./dashboard-data.mjs";
import { drawn, MOCK_ONLY, openDashboard, openSignedIn, signIn, startSystem, unexpected } from "./dashboard-kit.mjs";
import { unavailable } from "./dashboard-mock.mjs";

let browser;
let system;
let mock;
let opened;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  system = await startSystem();
  mock = system.mock;
});
afterEach(async () => {
  await opened?.context.close();
  await system.stop();
});

/** Opens the page; `signedIn: false` stays at the form. */
async function open({ signedIn = true, ...options } = {}) {
  opened = await (signedIn ? openSignedIn : openDashboard)(browser, system, options);
  return opened.page;
}

const warning = (page, words) => page.locator("#warning", { hasText: words }).waitFor();
const ids = (page) => page.locator("#top bdi").allTextContents();
const asked = (path) => mock.requests.filter((request) => request.path.startsWith(path)).map((request) => request.path);

async function saved(page, button) {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button }).click(),
  ]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

test("a wrong token is named as such, and the right one opens the dashboard", async () => {
  const page = await open({ signedIn: false });
  await signIn(page, "not the token");
  await page.getByText("This is not the owner’s token. Check it and try again.").waitFor();
  assert.equal(await page.locator("#token").getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await signIn(page, system.token);
  await drawn(page);
  assert.equal(await page.locator("#token").inputValue(), "", "the token does not stay in the page");
  assert.deepEqual(unexpected(opened.problems), []);
});

test("without a configured token the page says what to set", MOCK_ONLY, async () => {
  mock.faults.noToken = true;
  const page = await open({ signedIn: false });
  await page.getByRole("heading", { name: "No owner’s token is set" }).waitFor();
  await page.getByText("VISITS_OWNER_TOKEN").waitFor();
});

test("signing out hides the figures, also after a reload", async () => {
  const page = await open();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.ok(!(await page.locator("#figures").isVisible()));
  await page.reload();
  await page.locator("#sign-in").waitFor();
  assert.ok(!(await page.locator("#figures").isVisible()));
});

test("hostile page ids are text, in the list, the title, the heading and the dialog", MOCK_ONLY, async () => {
  const page = await open();
  page.on("dialog", () => assert.fail("a page id ran as a script"));
  const listed = await ids(page);
  for (const id of HOSTILE) assert.ok(listed.includes(id), id);
  for (const id of HOSTILE) {
    await page.locator("#top a").nth(listed.indexOf(id)).click();
    await page.locator("#page-id").filter({ visible: true }).waitFor();
    assert.equal(await page.locator("#page-id").textContent(), id);
    await page.locator("[data-action=delete]").click();
    assert.equal(await page.locator("#confirm-page").textContent(), id);
    await page.keyboard.press("Escape");
    assert.equal(asked("/history/").at(-1), `/history/${encodeURIComponent(id)}?days=30`);
    await page.goBack();
    await drawn(page);
  }
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.deepEqual(opened.problems, []);
});

test("what does not show in an id is told", MOCK_ONLY, async () => {
  const page = await open({ hash: `#page=${encodeURIComponent("\u202Egpj.exe ")}` });
  await page.getByText("characters that do not show: a space at its start or end, U+202E.").waitFor();
});

test("a link to a page opens it, with the days that it names", MOCK_ONLY, async () => {
  const page = await open({ hash: "#days=90&page=blog%2Fcaf%C3%A9-au-lait" });
  assert.equal(await page.locator("#page-id").textContent(), "blog/café-au-lait");
  assert.ok(await page.getByRole("radio", { name: "90 days" }).isChecked());
  assert.deepEqual(asked("/history/"), ["/history/blog%2Fcaf%C3%A9-au-lait?days=90"]);
  await page.getByRole("link", { name: "All pages" }).click();
  await drawn(page);
  assert.equal(await page.evaluate(() => location.hash), "#days=90");
});

test("a link that was cut off and a page that no browser can ask for are explained", MOCK_ONLY, async () => {
  const page = await open();
  await page.goto(`${system.base}/dashboard#page=caf%C3%`);
  await warning(page, "The link names a page that cannot be read");
  await page.goto(`${system.base}/dashboard#page=..`);
  await warning(page, "A browser cannot ask for a page called “..”.");
});

test("search sends the text as it is, says what it found, and an exact id opens its page", MOCK_ONLY, async () => {
  const page = await open();
  const field = page.getByLabel("Page id, or a part of it");
  await field.fill("coffee-5&x=");
  await page.keyboard.press("Enter");
  await page.getByText("None of the most visited pages of these days has “coffee-5&x=” in its id.").first().waitFor();
  assert.equal(asked("/top").at(-1), "/top?days=30&limit=20&search=coffee-5%26x%3D");
  await field.fill("coffee");
  await page.keyboard.press("Enter");
  await page.locator("#said", { hasText: "20 of the most visited pages have “coffee” in their id." }).waitFor();
  assert.ok((await ids(page)).every((id) => id.includes("coffee")));
  await field.fill("talks/stars-9999");
  await page.getByRole("button", { name: "Open this exact id" }).click();
  await drawn(page, "#page-days");
  assert.equal(await page.locator("#page-id").textContent(), "talks/stars-9999");
});

test("the list grows to 100, and follows the chosen days", MOCK_ONLY, async () => {
  const page = await open();
  await page.getByLabel("Show", { exact: true }).selectOption("100");
  await page.locator("#top tbody tr").nth(99).waitFor();
  await page.getByRole("radio", { name: "7 days" }).check();
  await page.getByText("In these 7 days").waitFor();
  assert.equal(asked("/top").at(-1), "/top?days=7&limit=100");
  await page.getByLabel("Another number").fill("45");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("In these 45 days").waitFor();
  await page.getByText("three visitor-days").waitFor();
});

test("a shard that is down is warned about by name, and shown in the table", MOCK_ONLY, async () => {
  mock.faults.down = "redis_7071";
  const page = await open();
  await warning(page, "Some figures are too low: redis_7071 does not answer.");
  await page.getByText("1 of 4 shards does not answer.").waitFor();
  assert.deepEqual(await page.locator("#health td.down").allTextContents(), ["Does not answer"]);
});

test("freshness and what was refused are shown in words", MOCK_ONLY, async () => {
  const page = await open();
  await page.getByText("Figures of 12:00:03. Visits of the last 30 seconds may not be in them yet.").waitFor();
  const refused = await page.locator("#refused div").allTextContents();
  assert.deepEqual(refused, [
    "From a site that is not on the list360",
    "A page outside the allowed pattern3",
    "A new page above the day’s limit0",
    "The same visitor again too soon1,230",
  ]);
});

test("a refresh keeps the focus; one that fails keeps the figures and says so", MOCK_ONLY, async () => {
  const page = await open({ signedIn: false });
  await page.clock.install();
  await page.reload();
  await signIn(page, system.token);
  await drawn(page);
  const link = page.locator("#top a").nth(2);
  await link.focus();
  const before = asked("/summary").length;
  await page.clock.fastForward(31_000);
  await page.locator("#figures:not([aria-busy])").waitFor();
  while (asked("/summary").length === before) await page.clock.fastForward(1000);
  assert.ok(await link.evaluate((one) => one === document.activeElement));
  mock.faults.fail = { method: "GET", answer: unavailable };
  await page.clock.fastForward(31_000);
  await warning(page, "The page's shard does not answer. What is shown may be older.");
  assert.ok(await page.locator("#site-days canvas").isVisible());
});

test("a session that ends while the page is open leads back to the form", MOCK_ONLY, async () => {
  const page = await open();
  mock.faults.expired = true;
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByText("Your session has ended. Sign in again.").waitFor();
  assert.ok(!(await page.locator("#figures").isVisible()));
});

test("the days and the top pages are exported as CSV, safe for a spreadsheet", MOCK_ONLY, async () => {
  const page = await open();
  const days = await saved(page, "Export days as CSV");
  assert.equal(days.name, "visits-days-2026-10-26-to-2026-11-24.csv");
  const lines = days.text.trim().split("\r\n");
  assert.equal(lines[0], '\uFEFF"day","people","visitors","bots"'.replace("\uFEFF", ""));
  assert.equal(lines.length, 31);
  assert.match(lines[30], /^"2026-11-24",\d+,\d+,\d+$/);
  const top = await saved(page, "Export top pages as CSV");
  assert.match(top.text, /\r\n1,"home",27000\r\n/);
  assert.ok(top.text.includes(`"'=HYPERLINK(""https://example.org"";""click"")"`));
});

test("the keyboard alone leads from the head to a page, into it, and back to its link", MOCK_ONLY, async () => {
  const page = await open();
  await page.evaluate(() => document.activeElement.blur());
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
  const way = [];
  for (let press = 0; press < 30 && way.at(-1) !== "home"; press += 1) {
    await page.keyboard.press("Tab");
    way.push(await focused());
  }
  assert.ok(way.indexOf("Refresh") < way.indexOf("The same days as a table"), way.join());
  assert.equal(way.at(-1), "home", way.join());
  await page.keyboard.press("Enter");
  await drawn(page, "#page-days");
  await page.waitForFunction(() => document.activeElement.id === "page-title");
  await page.goBack();
  await page.waitForFunction(() => document.activeElement.textContent === "home");
});
