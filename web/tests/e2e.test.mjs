// The real counter with real pages: set VISITS_BASE to where it answers, such as http://localhost:9000 (make run).

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { axe, eventually, launch, openPage, prerender } from "./browser.mjs";
import { html, serve, site } from "./mock.mjs";

const BASE = process.env.VISITS_BASE?.replace(/\/+$/, "");
const skip = BASE ? false : "VISITS_BASE is not set: no counter to test with";

/** A visit is written within the flush interval and read within the cache's time: 30 s and 5 s where nothing is set. */
const SOON = 90;

let browser;
let pages;
let head = "";
let body = "";

before(async () => {
  if (skip) return;
  browser = await launch();
  pages = await site(() => html(head, body));
});
after(async () => {
  await browser?.close();
  await pages?.stop();
});

const newPage = () => `browser tests/${randomUUID()}/é`;

async function count(id) {
  const answer = await fetch(`${BASE}/visits/${encodeURIComponent(id)}`);
  assert.equal(answer.status, 200);
  return (await answer.json()).count;
}

/** Waits until the count of a page is at least `least`. Other visits are recorded meanwhile: an environment of Lambda
 * flushes after an answer, so that one without visits waits for the schedule. */
const counted = (id, least) =>
  eventually(
    `${least} visits of ${id}`,
    async () => {
      await fetch(`${BASE}/visit/browser-tests`, { method: "POST" });
      return (await count(id)) >= least;
    },
    SOON,
  );

for (const size of ["desktop", "phone"]) {
  test(`a page on another origin counts itself and shows its count (${size})`, { skip }, async () => {
    const id = newPage();
    head = `<meta name="viewport" content="width=device-width"><script src="${BASE}/counter.js" defer></script>`;
    body = "<main><h1>A page</h1><p>Visits: <b data-visits>not known</b></p></main>";
    const { context, page, problems } = await openPage(browser, size);
    const shown = () => page.textContent("b");
    const address = `${pages.origin}/${encodeURI(id)}`;
    await page.goto(address);
    await eventually("a number", async () => /^\d+$/.test(await shown()));
    await page.evaluate(() => history.pushState({}, "", `${location.pathname}/next`));
    await counted(id, 1);
    await counted(`${id}/next`, 1);
    assert.equal(await count(id), 1);
    await page.goto(address);
    await eventually("the count", async () => Number(await shown()) >= 1);
    assert.deepEqual(problems, []);
    assert.deepEqual(await axe(page), []);
    await context.close();
  });
}

test("without JavaScript the pixel counts, and each load of the page again", { skip }, async () => {
  const id = newPage();
  head = "";
  body = `<noscript><img src="${BASE}/pixel/${encodeURIComponent(id)}" alt="" width="1" height="1"></noscript>`;
  const { context, page, problems } = await openPage(browser, "desktop", { javaScriptEnabled: false });
  for (let times = 0; times < 2; times++) {
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url().includes("/pixel/")),
      page.goto(`${pages.origin}/page`),
    ]);
    assert.equal(answer.status(), 200);
    assert.equal(answer.headers()["content-type"], "image/gif");
  }
  await counted(id, 2);
  assert.equal(await count(id), 2);
  assert.deepEqual(problems, []);
  await context.close();
});

test("the badge is a picture with its label, and markup in the label is text", { skip }, async () => {
  const label = encodeURIComponent("<script>alert(1)</script> & \"visits'");
  head = "";
  body = `<img id="badge" src="${BASE}/badge/${encodeURIComponent(newPage())}?label=${label}&amp;style=flat" alt="visits">`;
  const { context, page, problems } = await openPage(browser);
  await page.goto(`${pages.origin}/page`);
  const picture = page.locator("#badge");
  await picture.evaluate((image) => image.decode());
  assert.ok((await picture.evaluate((image) => image.naturalWidth)) > 20);
  assert.deepEqual(problems, []);
  // As a document of its own it must be well-formed and run nothing.
  await page.goto(await picture.evaluate((image) => image.src));
  assert.equal(await page.evaluate(() => document.documentElement.localName), "svg");
  assert.equal(await page.evaluate(() => document.querySelectorAll("script").length), 0);
  assert.ok((await page.evaluate(() => document.documentElement.textContent)).includes("<script>"));
  await context.close();
});

test("a page whose tracing library adds headers to every request is counted", { skip }, async () => {
  const id = newPage();
  const tracing = { traceparent: "00-1-2-01", tracestate: "a=b", baggage: "a=b", "sentry-trace": "1-2-1" };
  const added = JSON.stringify({ ...tracing, "x-datadog-trace-id": "1", "x-datadog-origin": "rum" });
  head = `<script>
      const { fetch } = window;
      window.fetch = (url, options) => fetch(url, { ...options, headers: ${added} });
    </script><script src="${BASE}/counter.js" data-page-id="${id}" defer></script>`;
  body = "<b data-visits>not known</b>";
  const { context, page, problems } = await openPage(browser);
  await page.goto(`${pages.origin}/page`);
  await counted(id, 1);
  assert.match(await page.textContent("b"), /^\d+$/);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a page that isolates itself (COEP require-corp) is counted and shows badge and pixel", { skip }, async () => {
  const id = newPage();
  const images = ["badge", "pixel"].map((route) => `<img src="${BASE}/${route}/${encodeURIComponent(id)}" alt="">`);
  const isolated = await serve((_, response) => {
    response.setHeader("cross-origin-embedder-policy", "require-corp");
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(html(`<script src="${BASE}/counter.js" data-page-id="${id}" defer></script>`, images.join("")));
  });
  const { context, page, problems } = await openPage(browser);
  await page.goto(`${isolated.origin}/page`);
  for (const image of await page.locator("img").all()) await image.evaluate((element) => element.decode());
  await counted(id, 2);
  assert.deepEqual(problems, []);
  await context.close();
  await isolated.stop();
});

test("the pixel of a page that is prerendered is loaded and not counted", { skip }, async () => {
  const id = newPage();
  const pixel = `<img src="${BASE}/pixel/${encodeURIComponent(id)}" alt="" onload="fetch('/shown')" onerror="fetch('/shown')">`;
  const rules = { prerender: [{ urls: ["/next"], eagerness: "immediate" }] };
  const asked = [];
  const ahead = await serve(({ request, url }, response) => {
    asked.push([url.pathname, request.headers["sec-purpose"]]);
    response.setHeader("content-type", "text/html; charset=utf-8");
    const start = html(`<script type="speculationrules">${JSON.stringify(rules)}</script>`);
    response.end(url.pathname === "/next" ? html("", pixel) : start);
  });
  const stop = await prerender(`${ahead.origin}/page`);
  const shown = () => asked.find(([path]) => path === "/shown");
  assert.deepEqual(await eventually("the image", shown), ["/shown", "prefetch;prerender"]);
  await stop();
  await ahead.stop();
  // One more, so that all before it is counted, too.
  await fetch(`${BASE}/visit/${encodeURIComponent(id)}`, { method: "POST" });
  await counted(id, 1);
  assert.equal(await count(id), 1);
});

test("the demo page counts itself with its own address, and shows its count with that visit", { skip }, async () => {
  const { context, page, problems } = await openPage(browser);
  const before = await count("home");
  await page.goto(`${BASE}/dashboard/demo`);
  const shown = async () => Number((await page.textContent("#count")).replaceAll(",", ""));
  await eventually("the count", async () => (await shown()) > before);
  await counted("home", before + 1);
  assert.equal(await page.textContent("#snippet"), `<script defer src="${BASE}/counter.js"></script>`);
  assert.deepEqual(problems, []);
  await context.close();
});
