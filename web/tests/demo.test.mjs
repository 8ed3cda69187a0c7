// The local run's demo page, with the files and the policy of the dashboard function and made-up counts.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { axe, eventually, launch, openPage } from "./browser.mjs";
import { LOOKS } from "./dashboard-kit.mjs";
import { POLICY } from "./dashboard-mock.mjs";
import { serve } from "./mock.mjs";

const FILES = {
  "/dashboard/demo": ["demo.html", "text/html; charset=utf-8"],
  "/dashboard/demo.js": ["demo.js", "text/javascript"],
  "/dashboard/app.css": ["app.css", "text/css"],
  "/dashboard": ["index.html", "text/html; charset=utf-8"],
  "/counter.js": ["counter.js", "text/javascript"],
};

let browser;
let server;
let written;
let asked;

before(async () => {
  browser = await launch();
  server = await serve(({ request, url, body }, response) => {
    const [name, type] = FILES[url.pathname] || [];
    if (name) {
      const file = readFileSync(new URL(`../../functions/dashboard/assets/${name}`, import.meta.url));
      return response.writeHead(200, { "content-type": type, "content-security-policy": POLICY }).end(file);
    }
    if (url.pathname.startsWith("/visits")) asked.push(`${request.method} ${url.pathname}${body}`);
    const status = written === undefined ? 503 : 200;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ count: written }));
  });
});
after(async () => {
  await browser.close();
  await server.stop();
});
beforeEach(() => {
  written = 1233;
  asked = [];
});

async function open({ size, ...options } = {}) {
  const opened = await openPage(browser, size, options);
  await opened.page.goto(`${server.origin}/dashboard/demo`);
  return opened;
}

const shown = (page, count) => eventually(count, async () => (await page.textContent("#count")) === count);

test("the count holds this visit, which is sent once after the count was read, and others as they are written", async () => {
  const { page, context, problems } = await open();
  await shown(page, "1,234");
  await eventually("the visit", () => asked.length === 2);
  written = 1240;
  await shown(page, "1,240");
  assert.deepEqual(asked.slice(0, 2), ["GET /visits/home", 'POST /visits["home"]']);
  assert.equal(asked.filter((text) => text.startsWith("POST")).length, 1);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a count that cannot be read is not shown, and the visit is sent", async () => {
  written = undefined;
  const { page, context } = await open();
  await eventually("the visit", () => asked.includes('POST /visits["home"]'));
  assert.equal(await page.textContent("#count"), "…");
  await context.close();
});

for (const look of LOOKS) {
  test(`the demo looks as the dashboard does and names its own address (${Object.values(look).join(", ")})`, async () => {
    const { page, context, problems } = await open(look);
    await shown(page, "1,234");
    assert.equal(await page.textContent("#snippet"), `<script defer src="${server.origin}/counter.js"></script>`);
    assert.deepEqual(await axe(page), []);
    assert.deepEqual(problems, []);
    const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(width <= 0, `wider than the window by ${width}`);
    const style = () =>
      page.evaluate(() =>
        ["body", "h1", ".logo", "main", ".panel"].map((selector) => {
          const { backgroundColor, color, font, borderRadius } = getComputedStyle(document.querySelector(selector));
          return { backgroundColor, color, font, borderRadius };
        }),
      );
    const demo = await style();
    await page.goto(`${server.origin}/dashboard`);
    assert.deepEqual(demo, await style());
    await context.close();
  });
}
