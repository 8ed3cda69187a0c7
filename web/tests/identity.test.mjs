// The identity rules of docs/COUNTER_JS.md, as a table: an address, the script's attributes, and the page it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage } from "./browser.mjs";
import { counter, html, site, tag } from "./mock.mjs";

let browser;
let mock;
let pages;
let head;

before(async () => {
  browser = await launch();
  mock = await counter();
  pages = await site(() => html(head));
});
after(async () => {
  await browser.close();
  await mock.stop();
  await pages.stop();
});

const canonical = (href) => `<link rel="canonical" href="${href}">`;

// HOST stands for the site's host and port.
const RULES = [
  // The path, without the first slash and those at the end, percent-decoded once.
  ["/", "", "/"],
  ["/blog/first", "", "blog/first"],
  ["/blog/", "", "blog"],
  ["/blog///", "", "blog"],
  ["/Blog", "", "Blog"],
  ["/caf%C3%A9/a%20b+c", "", "café/a b+c"],
  ["/%2525", "", "%25"],
  ["/bad%ZZ", "", "bad%ZZ"],
  ["/blog/", 'data-slash="keep"', "blog/"],
  ["/", 'data-slash="keep"', "/"],
  // With the host.
  ["/blog/", 'data-page="host-path"', "HOST/blog"],
  ["/", 'data-page="host-path"', "HOST"],
  ["/", 'data-page="host-path" data-slash="keep"', "HOST/"],
  // The query only as far as it is listed, in one order.
  ["/list?id=5&utm_source=x", "", "list"],
  ["/list?b=2&utm_source=x&a=1", 'data-query="a, b"', "list?a=1&b=2"],
  ["/list?id=2&id=1", 'data-query="id"', "list?id=1&id=2"],
  ["/list?id=a%26b%C3%A9+c", 'data-query="id"', "list?id=a&bé c"],
  ["/?id=5", 'data-query="id"', "/?id=5"],
  ["/list?=x", 'data-query="id"', "list"],
  ["/list?other=1", 'data-query="id"', "list"],
  // The fragment only where it is set.
  ["/app#/settings", "", "app"],
  ["/app#/caf%C3%A9", "data-hash", "app#/café"],
  // The canonical link before the address.
  ["/alias?x=1", "", "real", canonical("/real/")],
  ["/alias", 'data-page="host-path"', "HOST/real", canonical("//HOST/real")],
  ["/alias", 'data-canonical="off"', "alias", canonical("/real")],
  ["/alias", "", "alias", canonical("")],
  ["/alias", "", "alias", canonical("http://")],
  ["/alias", "", "real", '<link rel="alternate Canonical" href="/real">'],
  // Of this host only, give or take www., whatever the protocol.
  ["/alias", "", "alias", canonical("https://example.org/author/foo-123")],
  ["/alias", "", "alias", canonical("http://localhost:1/real")],
  ["/alias", "", "alias", canonical("http://HOST.example.org/real")],
  ["/alias", "", "alias", canonical("http://blog.HOST/real")],
  ["/alias", "", "alias", canonical("mailto:real@HOST")],
  ["/alias", "", "alias", canonical("app://HOST/real")],
  ["/alias", "", "real", canonical("https://HOST/real")],
  ["/alias", "", "real", canonical("http://www.HOST/real")],
  ["/alias", 'data-page="host-path"', "www.HOST/real", canonical("http://www.HOST/real")],
  ["http://www.HOST/alias", "", "real", canonical("http://HOST/real")],
  ["http://www.HOST/alias", "", "real", canonical("/real")],
  ["/alias", "", "alias", `<base href="https://example.org/">${canonical("/real")}`],
  ["/alias", "", "de/real", `<base href="/de/">${canonical("real")}`],
  // Not the root for another path.
  ["/alias", "", "alias", canonical("/")],
  ["/alias", "", "alias", canonical("http://HOST")],
  ["/alias", "", "alias", canonical("https://www.HOST/?from=template#top")],
  ["/?utm_source=x", "", "/", canonical("/")],
  ["/?id=5", 'data-query="id"', "/?id=6", canonical("/?id=6")],
  // The id of the tag before all.
  ["/alias?id=1#x", 'data-page-id="My page" data-query="id" data-hash', "My page", canonical("/real")],
];

test("every identity rule gives the page that it says", async () => {
  const { context, page, problems } = await openPage(browser);
  const { host } = new URL(pages.origin);
  for (const rule of RULES) {
    const [address, attributes, expected, extra = ""] = rule.map((text) => text.replace("HOST", host));
    // The link after the tag: the order in the head does not matter.
    head = tag(mock, attributes) + extra;
    mock.asked.length = 0;
    await page.goto("about:blank");
    await page.goto(new URL(address, pages.origin).href);
    const visits = await mock.received(1);
    assert.deepEqual(visits, [expected], rule.join(" "));
  }
  assert.deepEqual(problems, []);
  await context.close();
});

test("a file on a disk is not counted", async () => {
  const { context, page } = await openPage(browser);
  head = tag(mock);
  mock.asked.length = 0;
  await page.goto(pages.origin);
  await mock.received(1);
  const { mkdtemp, rm, writeFile } = await import("node:fs/promises");
  const folder = await mkdtemp("/tmp/visits-");
  await writeFile(`${folder}/page.html`, html(tag(mock)));
  await page.goto(`file://${folder}/page.html`);
  assert.equal(await page.evaluate(() => typeof window.visits), "undefined");
  await rm(folder, { recursive: true });
  await context.close();
});
