// What an owner does with the dashboard: looks for pages, opens one, points at the chart, exports.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { eventually, launch } from "./browser.mjs";
import { HOSTILE, NOW } from "./dashboard-data.mjs";
import { drawn, MOCK_ONLY, openDashboard, openSignedIn, signIn, startSystem } from "./dashboard-kit.mjs";

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

async function open(options) {
  opened = await openSignedIn(browser, system, options);
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
  await page.locator("#page-failed", { hasText: "A browser cannot ask for a page called “..”." }).waitFor();
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
  await page.locator("#said", { hasText: "20 of the most visited pages have “coffee” in the id." }).waitFor();
  assert.ok((await ids(page)).every((id) => id.includes("coffee")));
  await field.fill("talks/stars-9999");
  await page.getByRole("button", { name: "Open this exact id" }).click();
  await drawn(page, "#page-days");
  assert.equal(await page.locator("#page-id").textContent(), "talks/stars-9999");
});

test(
  "a search, the days and the length of the list survive a reload, and the way to a page and back",
  MOCK_ONLY,
  async () => {
    const page = await open({ hash: "#days=7" });
    const field = page.getByLabel("Page id, or a part of it");
    await field.fill("coffee & tea+");
    await page.keyboard.press("Enter");
    await page.getByText("None of the most visited pages").first().waitFor();
    await page.reload();
    await page
      .getByText("None of the most visited pages of these days has “coffee & tea+” in its id.")
      .first()
      .waitFor();
    assert.equal(await field.inputValue(), "coffee & tea+");
    await field.fill("coffee");
    await page.keyboard.press("Enter");
    await page.getByLabel("Show", { exact: true }).selectOption("100");
    await page.locator("#top tbody tr").nth(99).waitFor();
    await page.locator("#top a").first().click();
    await drawn(page, "#page-days");
    await page.reload();
    await drawn(page, "#page-days");
    await page.getByRole("link", { name: "All pages" }).click();
    await page.locator("#top tbody tr").nth(99).waitFor();
    assert.equal(asked("/top").at(-1), "/top?days=7&limit=100&search=coffee");
    assert.equal(await field.inputValue(), "coffee");
    assert.ok((await ids(page)).every((id) => id.includes("coffee")));
  },
);

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

test("freshness and what was refused are shown in words", MOCK_ONLY, async () => {
  const page = await open({ timezoneId: "Asia/Tokyo" });
  // As the days: in UTC, wherever the owner is.
  await page.getByText("As of 12:00 UTC. Visits of the 30 seconds before may be missing yet.").waitFor();
  assert.equal(await page.locator("#today-day").textContent(), "24 Nov 2026 in UTC, so far");
  const refused = await page.locator("#refused div").allTextContents();
  assert.deepEqual(refused, [
    "From a site that is not on the list360",
    "A page outside the allowed pattern3",
    "A new page above the day’s limit0",
    "The same visitor again too soon1,230",
  ]);
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

test("pointing at a day shows its figures, and a series can be switched off by key", MOCK_ONLY, async () => {
  const page = await open();
  const { x, y, width, height } = await page.locator("#site-days .u-over").boundingBox();
  await page.mouse.move(x + width - 1, y + height / 2);
  await page
    .locator("#site-days .readout", { hasText: "24 Nov 2026, so far: visits by people 5,410, unique visitors" })
    .waitFor();
  await page.mouse.move(0, 0);
  const picture = () => page.locator("#site-days canvas").evaluate((canvas) => canvas.toDataURL());
  const all = await picture();
  await page.getByRole("checkbox", { name: "Visits by people" }).focus();
  await page.keyboard.press("Space");
  await page.waitForFunction((before) => document.querySelector("#site-days canvas").toDataURL() !== before, all);
});

test("the chart follows a change between light and dark", MOCK_ONLY, async () => {
  const page = await open();
  const light = await page.locator("#site-days canvas").evaluate((canvas) => canvas.toDataURL());
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForFunction((before) => document.querySelector("#site-days canvas").toDataURL() !== before, light);
});

/** Has the page keep which dates the last drawing of a chart has, with their ends, and in how wide a canvas. */
function keepDates() {
  const { clearRect, fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...all) {
    window.dates = [];
    clearRect.apply(this, all);
  };
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    fillText.call(this, text, x, y);
    const half = this.measureText(text).width / 2;
    const middle = this.getTransform().transformPoint({ x, y }).x;
    const { width } = this.canvas;
    if (this.textAlign === "center") window.dates.push({ text, from: middle - half, to: middle + half, width });
  };
}

for (const size of ["desktop", "phone"]) {
  test(
    `on a ${size} the axis names days that are shown, the present one among them, and cuts off none`,
    MOCK_ONLY,
    async () => {
      const page = await open({ size });
      await page.addInitScript(keepDates);
      await page.reload();
      for (const days of [1, 2, 7, 30, 90, 400]) {
        await page.evaluate((hash) => location.assign(hash), `#days=${days}`);
        await page.locator("#site-days .sums", { hasText: days === 1 ? "Today" : `In these ${days} days` }).waitFor();
        const dates = await page.evaluate(() => window.dates);
        assert.ok(dates.length >= Math.min(days, 3) && dates.at(-1).text.startsWith("24 Nov"), JSON.stringify(dates));
        dates.forEach(({ text, from, to, width }, index) => {
          assert.ok(from >= 0 && to <= width, `${text} is cut off: ${from} to ${to} of ${width}`);
          if (index > 0) assert.ok(from > dates[index - 1].to, `${text} runs into ${dates[index - 1].text}`);
          const ago = Date.parse(NOW) - Date.parse(`${/\d{4}$/.test(text) ? text : `${text} 2026`} UTC`);
          assert.ok(ago >= 0 && ago < days * 86_400_000, `${text} is none of the ${days} days`);
        });
      }
    },
  );
}

test("the line to the present day has gaps, and that day is said to be unfinished", MOCK_ONLY, async () => {
  const page = await open({ hash: "#days=7" });
  // In the columns between two days, how many have no dot of the line of visits by people.
  const gaps = await page.locator("#site-days canvas").evaluate((canvas) => {
    const over = document.querySelector("#site-days .u-over").getBoundingClientRect();
    const left = over.left - canvas.getBoundingClientRect().left;
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    // The area below the line has its colour too, but lets light through.
    const isLine = (at) => data[at] < 120 && data[at + 2] > 170 && data[at + 3] > 200;
    const inColumn = (x) => Array.from({ length: height }, (_, y) => 4 * (y * width + x)).some(isLine);
    const day = over.width / 7;
    return Array.from({ length: 6 }, (_, index) => {
      const from = Math.ceil(left + (index + 0.6) * day);
      const to = Math.floor(left + (index + 1.4) * day);
      return Array.from({ length: to - from }, (__, x) => inColumn(from + x)).filter((found) => !found).length > 20;
    });
  });
  assert.deepEqual(gaps, [false, false, false, false, false, true]);
  await page.getByText("The same days as a table").click();
  await page.locator("#site-days tbody th").first().waitFor();
  const rows = await page.locator("#site-days tbody th").allTextContents();
  assert.deepEqual(rows.slice(0, 2), ["24 Nov 2026, so far", "23 Nov 2026"]);
});

test(
  "a site without visits shows its own line to copy, and by itself the first visit, in the singular",
  MOCK_ONLY,
  async () => {
    mock.faults.visits = 0;
    mock.faults.refused = { origin: 0, page: 1, repeat: 0 };
    opened = await openDashboard(browser, system, { prefix: "/prod" });
    const { page, context } = opened;
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.clock.install();
    await page.reload();
    await signIn(page, system.token);
    await page.getByRole("heading", { name: "Waiting for the first visit" }).waitFor();
    assert.ok(!(await page.locator("#overview").isVisible()));
    const refused = await page.locator("#welcome-refusals div").allTextContents();
    assert.deepEqual(refused, ["A page outside the allowed pattern1"]);
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const line = `<script defer src="${system.base}/prod/counter.js"></script>`;
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);
    assert.equal(await page.locator("#snippet").textContent(), line);

    mock.faults.visits = 1;
    await page.clock.runFor(6000);
    await drawn(page);
    await page.getByText("In these 30 days: 1 visit by people, 1 visitor-day, 0 visits by bots.").waitFor();
    assert.equal(await page.locator("#said").textContent(), "The first visit is here.");
    assert.ok(!(await page.locator("#welcome").isVisible()));
    await page.getByLabel("Page id, or a part of it").fill("home");
    await page.keyboard.press("Enter");
    await page.getByText("1 of the most visited pages has “home” in the id.").first().waitFor();
  },
);

test(
  "after five minutes without a first visit it is asked for no more often than anything else",
  MOCK_ONLY,
  async () => {
    mock.faults.visits = 0;
    opened = await openDashboard(browser, system);
    const { page } = opened;
    await page.clock.install();
    await page.reload();
    await signIn(page, system.token);
    await page.locator("#welcome").waitFor();
    let open = 0;
    page.on("request", () => {
      open += 1;
    });
    page.on("requestfinished", () => {
      open -= 1;
    });
    /** How often the site is asked for in the next seconds; each answer comes before the next second. */
    const askedIn = async (seconds) => {
      const before = asked("/summary").length;
      for (let second = 0; second < seconds; second += 5) {
        await page.clock.runFor(5000);
        await eventually("all is answered", () => open === 0);
        await page.evaluate(() => fetch("/session").then((answer) => answer.text()));
      }
      return asked("/summary").length - before;
    };
    assert.equal(await askedIn(300), 60);
    assert.equal(await askedIn(300), 10);
  },
);
