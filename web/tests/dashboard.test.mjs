// What the dashboard must reach in a real Chromium, at the size of a desktop and of a phone, in light and dark: no console
// error, no breach of the Content-Security-Policy, no accessibility violation, no sideways scrolling, a small and quick
// first load. With VISITS_BASE and VISITS_TOKEN all of it runs against a real system.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, launch } from "./browser.mjs";
import { SHARDS } from "./dashboard-data.mjs";
import { drawn, LOOKS, openDashboard, openSignedIn, startSystem, unexpected } from "./dashboard-kit.mjs";

/** Issue 6: the first load in all, in bytes, and the first chart, in ms. */
const MOST_BYTES = 150_000;
const SLOWEST_MS = 1000;
/** How far a load moves what is shown already: the bound for "good" of web.dev's Cumulative Layout Shift. */
const MOST_SHIFT = 0.1;

let browser;
let system;

before(async () => {
  browser = await launch();
  system = await startSystem();
});
after(async () => {
  await browser.close();
  await system.stop();
});

/** What holds in every state. */
async function check(opened, state) {
  const { page, problems, violations } = opened;
  assert.deepEqual(await axe(page), [], state);
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${state}: ${content} px of content in ${window} px`);
  assert.deepEqual(await violations(), [], state);
  assert.deepEqual(unexpected(problems), [], state);
}

/** Has the page add up its layout shifts. */
function keepShifts() {
  window.shift = 0;
  const add = (list) => {
    for (const entry of list.getEntries()) window.shift += entry.value;
  };
  new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
}

for (const look of LOOKS) {
  test(`on a ${look.size} in ${look.colorScheme} every state is accessible, fits, and leaves the console empty`, async () => {
    const signedOut = await openDashboard(browser, system, look);
    await signedOut.page.locator("#sign-in").waitFor();
    await check(signedOut, "signing in");
    await signedOut.context.close();

    const opened = await openSignedIn(browser, system, look);
    const { page, problems } = opened;
    await page.getByText("The same days as a table").click();
    await check(opened, "overview");

    await page.locator("#top a").first().click();
    await drawn(page, "#page-days");
    await check(opened, "one page");

    for (const action of ["set", "reset", "delete"]) {
      await page.locator(`[data-action=${action}]`).click();
      await page.getByRole("dialog").waitFor();
      await check(opened, `dialog to ${action}`);
      await page.keyboard.press("Escape");
    }
    if (system.mock) {
      const { faults } = system.mock;
      for (const [state, fault, part] of [
        ["without visits", { visits: 0 }, "#welcome"],
        ["without shards", { down: SHARDS }, "#overview"],
      ]) {
        Object.assign(faults, fault);
        await page.goto(`${system.base}/dashboard`);
        await page.locator(part).waitFor();
        // The refusal of a list is always on the console.
        problems.length = 0;
        await check(opened, state);
        for (const name of Object.keys(fault)) delete faults[name];
      }
    }
    assert.deepEqual(problems, [], "signed in, not even a refusal is on the console");
    await opened.context.close();
  });

  test(`on a ${look.size} in ${look.colorScheme} the first chart of 400 days is there within a second, and the page stays in its place`, async (t) => {
    const { page, context } = await openSignedIn(browser, system, { ...look, hash: "#days=400" });
    await page.addInitScript(keepShifts);
    const times = [];
    for (let run = 0; run < 3; run += 1) {
      await page.reload();
      await drawn(page);
      times.push(await page.evaluate(() => performance.getEntriesByName("first-chart")[0].startTime));
    }
    const median = times.sort((one, other) => one - other)[1];
    t.diagnostic(`first chart after ${times.map(Math.round).join(", ")} ms`);
    assert.ok(median <= SLOWEST_MS, `${median} ms`);
    await page.locator("#top a").first().waitFor();
    const shift = await page.evaluate(() => window.shift);
    t.diagnostic(`layout shift ${shift}`);
    assert.ok(shift <= MOST_SHIFT, `what was there moved: ${shift}`);
    await context.close();
  });
}

test("the first load is within its size, answers included, and asks nobody else", async (t) => {
  const { page, context } = await openSignedIn(browser, system, { hash: "#days=400" });
  // As on a first visit: what the browser has kept would be answered with 304, and no body.
  await (await context.newCDPSession(page)).send("Network.setCacheDisabled", { cacheDisabled: true });
  const bodies = [];
  page.on("response", (response) => bodies.push(response.body().then((body) => [response.url(), body.length])));
  await page.reload();
  await drawn(page);
  await page.locator("#top a").first().waitFor();
  const loaded = await Promise.all(bodies);
  for (const [url, bytes] of loaded) t.diagnostic(`${bytes} bytes: ${url.slice(system.base.length)}`);
  assert.deepEqual(
    loaded.filter(([url]) => !url.startsWith(`${system.base}/`)),
    [],
  );
  const sum = loaded.reduce((all, [, bytes]) => all + bytes, 0);
  t.diagnostic(`${sum} bytes in all, before compression`);
  assert.ok(sum <= MOST_BYTES, `${sum} bytes`);
  await context.close();
});

test("nothing scrolls sideways on the narrowest phones, nor with letters twice as large", async () => {
  const { page, context } = await openSignedIn(browser, system, { viewport: { width: 320, height: 640 } });
  const sideways = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await sideways(), 0);
  await page.locator("#top a").first().click();
  await drawn(page, "#page-days");
  assert.equal(await sideways(), 0);
  await context.close();
  const large = await openSignedIn(browser, system, { viewport: { width: 640, height: 800 } });
  await large.page.evaluate(() => document.documentElement.style.setProperty("font-size", "200%"));
  assert.equal(await large.page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  await large.context.close();
});

test("series differ by dash and marker, and the canvas has the figures in words", async () => {
  const { page, context } = await openSignedIn(browser, system);
  const words = await page.getByRole("img", { name: /^Line chart of 30 days/ }).getAttribute("aria-label");
  for (const series of ["visits by people", "unique visitors", "visits by bots"])
    assert.ok(words.includes(series), words);
  const samples = page.locator("#site-days .sample");
  const looks = await samples.evaluateAll((all) => all.map((one) => getComputedStyle(one).borderBlockStartStyle));
  assert.deepEqual(looks, ["solid", "dashed", "dotted"]);
  await page.getByText("The same days as a table").click();
  await page.locator("#site-days tbody tr").nth(29).waitFor();
  assert.equal(await page.locator("#site-days tbody tr").count(), 30);
  await context.close();
});
