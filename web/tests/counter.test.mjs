// What counter.js does in a real browser: when it counts, what it shows, and what it leaves behind (nothing).

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { eventually, launch, openPage } from "./browser.mjs";
import { counter, html, site, tag } from "./mock.mjs";

let browser;
let mock;
let pages;
let head;
let body;
let open;

before(async () => {
  browser = await launch();
  pages = await site(() => html(head, body));
});
after(async () => {
  await browser.close();
  await pages.stop();
});
beforeEach(async () => {
  mock = await counter();
  head = tag(mock);
  body = "";
  open = await openPage(browser);
});
afterEach(async () => {
  await open.context.close();
  await mock.stop();
});

const visit = (path) => open.page.goto(pages.origin + path);

/** Asserts what came in, once it is there and one more visit is. In any order: requests may overtake each other. */
async function cameIn(expected, what) {
  await open.page.evaluate(() => window.visits.record("the end"));
  await eventually("the last visit", () => mock.visits().includes("the end"));
  const visits = await mock.received(expected.length + 1);
  assert.deepEqual([...visits].sort(), [...expected, "the end"].sort(), what);
}

test("a page counts itself once on load, without a preflight or a console error", async () => {
  await visit("/blog/first");
  await cameIn(["blog/first"]);
  assert.deepEqual([...new Set(mock.asked.map(({ method, path }) => `${method} ${path}`))], ["POST /visits"]);
  assert.match(mock.posts()[0].headers["content-type"], /^text\/plain/);
  assert.deepEqual(open.problems, []);
});

test("it works from the head, at the end, deferred and asynchronous; two tags count once", async () => {
  for (const attributes of ["", "defer", "async"]) {
    head = tag(mock, attributes);
    body = attributes ? "" : tag(mock);
    mock.asked.length = 0;
    await visit("/page");
    await eventually("the script", () => open.page.evaluate(() => Boolean(window.visits)));
    await cameIn(["page"], attributes);
  }
});

test("a module and a script that is evaluated find their tag, with its attributes", async () => {
  const evaluated = `<script>fetch("${mock.origin}/counter.js").then((answer) => answer.text()).then((text) => setTimeout(text));</script>`;
  for (const [what, tags] of [
    ["a module", tag(mock, 'type="module" data-slash="keep"')],
    ["evaluated", tag(mock, 'type="text/plain" data-slash="keep"') + evaluated],
    [
      "a blob",
      `${tag(mock, 'type="text/plain" data-slash="keep"')}<script>
      fetch("${mock.origin}/counter.js").then((answer) => answer.blob()).then((blob) => {
        document.head.append(Object.assign(document.createElement("script"), { src: URL.createObjectURL(blob) }));
      });</script>`,
    ],
    [
      "inserted later",
      `<script>setTimeout(() => {
      const script = Object.assign(document.createElement("script"), { src: "${mock.origin}/counter.js" });
      script.dataset.slash = "keep";
      document.head.append(script);
    }, 100);</script>`,
    ],
  ]) {
    head = tags;
    mock.asked.length = 0;
    await visit("/page/");
    await eventually(what, () => open.page.evaluate(() => Boolean(window.visits)));
    await cameIn(["page/"], what);
  }
  assert.deepEqual(open.problems, []);
});

test("a script without a tag says so once, and counts nothing", async () => {
  const text = "fetch(url).then((answer) => answer.text())";
  for (const tags of [
    `<script type="module">import "${mock.origin}/counter.js";</script>`,
    `<script>const url = "${mock.origin}/counter.js"; ${text}.then((text) => setTimeout(text));</script>`,
    `<script>const url = "${mock.origin}/counter.js"; ${text}.then((textContent) => {
      document.head.append(Object.assign(document.createElement("script"), { textContent }));
    });</script>`,
  ]) {
    head = tags;
    open.problems.length = 0;
    await visit("/page");
    await eventually("the message", () => open.problems.length > 0);
    assert.equal(open.problems.length, 1, open.problems.join());
    assert.match(open.problems[0], /^visits: nothing is counted: .*<script src="…\/counter.js">/);
    assert.equal(await open.page.evaluate(() => typeof window.visits), "undefined");
  }
  assert.deepEqual(mock.asked, []);
});

test("an element with the id visits is no counter", async () => {
  body = '<span id="visits" data-visits></span>';
  head = tag(mock, "defer");
  await visit("/page");
  await cameIn(["page"]);
});

for (const [what, prepare] of [
  ["", () => {}],
  [" in a browser without the Navigation API", () => delete window.navigation],
  [
    " in a page with a variable of that name",
    () => {
      window.navigation = {};
    },
  ],
]) {
  test(`a single-page navigation counts the new page, and the same page is not counted again${what}`, async () => {
    await open.page.addInitScript(prepare);
    await visit("/a");
    await open.page.evaluate(() => {
      history.replaceState({ tab: 1 }, "", "/a?tab=1#part");
      history.pushState({}, "", "/a/");
      history.pushState({}, "", "/b");
      history.replaceState({}, "", "/c");
    });
    await open.page.goBack();
    await cameIn(["a", "b", "c", "a"]);
    assert.deepEqual(open.problems, []);
  });
}

test("a page that a router of the Navigation API goes to counts once, there and back", async () => {
  await visit("/a");
  await open.page.evaluate(async () => {
    navigation.addEventListener("navigate", (event) => event.intercept({ handler: async () => {} }));
    await navigation.navigate("/b").finished;
    await navigation.navigate("/b?tab=2").finished;
    await navigation.navigate("/c", { history: "replace" }).finished;
    await navigation.back().finished;
    history.pushState({}, "", "/d");
  });
  await cameIn(["a", "b", "c", "b", "d"]);
  assert.deepEqual(open.problems, []);
});

test("another fragment is another page only where that is set", async () => {
  for (const [attributes, expected] of [
    ["", ["a"]],
    ["data-hash", ["a", "a#one", "a#two"]],
  ]) {
    head = tag(mock, attributes);
    body = '<a href="#two">two</a>';
    mock.asked.length = 0;
    await open.page.goto("about:blank");
    await visit("/a");
    await open.page.evaluate(() => {
      location.hash = "one";
    });
    await eventually("the fragment", () => open.page.evaluate(() => location.hash === "#one"));
    await open.page.click("a");
    await cameIn(expected);
  }
});

test("a changed address of a page with a canonical link is not a visit, another page is", async () => {
  head = `<link rel="canonical" href="/real">${tag(mock)}`;
  await visit("/alias");
  await open.page.evaluate(() => {
    history.replaceState({}, "", "/alias?tab=2");
    history.pushState({}, "", "/next");
  });
  await cameIn(["real", "next"]);
});

test("a prerendered page counts when it is activated", async () => {
  await open.page.addInitScript(() => {
    window.hidden = true;
    Object.defineProperty(Document.prototype, "prerendering", { get: () => window.hidden });
  });
  await visit("/page");
  await open.page.evaluate(() => {
    window.visits.record("while hidden");
    window.hidden = false;
    document.dispatchEvent(new Event("prerenderingchange"));
  });
  await cameIn(["while hidden", "page"]);
});

test("a page that comes back from the browser's memory is another visit of the page that it was", async () => {
  head = `<link rel="canonical" href="/real">${tag(mock)}`;
  await visit("/alias");
  await open.page.evaluate(() => {
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: false }));
  });
  await cameIn(["real", "real"]);
});

test("visits of one moment go out in one request, and more than 40 in several", async () => {
  await visit("/page");
  await open.page.evaluate(() => {
    for (let at = 0; at < 120; at++) window.visits.record(`page ${at}`);
  });
  await mock.received(121);
  const sizes = mock.posts().map(({ pages }) => pages.length);
  assert.ok(sizes.every((size) => size <= 40) && sizes.length <= 4, sizes.join());
});

test("marked elements show counts in groups of three digits, in one request, and later ones too", async () => {
  mock.counts.set("page", 41).set("a/b & c+d", 1234567).set("later", 1000);
  body = '<b data-visits></b><i data-visits="a/b &amp; c+d"></i><u data-visits="page"></u><s>-</s>';
  await visit("/page");
  const texts = () =>
    open.page.evaluate(() => [...document.body.children].map((element) => element.textContent).join(" "));
  await eventually("counts", async () => (await texts()) === "41 1,234,567 41 -");
  assert.equal(mock.asked.filter(({ method }) => method === "GET").length, 1);
  await open.page.evaluate(() => document.querySelector("s").setAttribute("data-visits", "later"));
  await eventually("the later count", async () => (await texts()) === "41 1,234,567 41 1,000");
  mock.counts.set("next", 9);
  await open.page.evaluate(() => history.pushState({}, "", "/next"));
  await eventually("the count of the next page", async () => (await texts()) === "9 1,234,567 41 1,000");
});

test("a count that is not known leaves what was there", async () => {
  mock.counts.set("down", null).set("up", 5);
  body = '<b data-visits="down">many</b><i data-visits="up"></i><u data-visits="&#10;">none</u>';
  await visit("/page");
  await eventually("the known count", () => open.page.evaluate(() => document.querySelector("i").textContent === "5"));
  assert.equal(await open.page.textContent("b"), "many");
  assert.equal(await open.page.textContent("u"), "none");
});

test("20 elements take a request, and long ids as many as fit into an address", async () => {
  const elements = (number, id) =>
    Array.from({ length: number }, (_, at) => `<b data-visits="${id}${at}"></b>`).join("");
  const gets = () => mock.asked.filter(({ method }) => method === "GET").map(({ query }) => query);
  for (const [number, id, requests] of [
    [20, "p", 1],
    [150, "p", 8],
    [12, "é".repeat(200), 3],
  ]) {
    body = elements(number, id);
    mock.asked.length = 0;
    await visit("/page");
    await eventually("all counts", () => open.page.evaluate(() => !document.querySelector("[data-visits]:empty")));
    assert.equal(gets().length, requests);
    assert.ok(gets().every((query) => query.length <= 6001));
  }
});

test("a count is text: markup in it is shown, not run", async () => {
  mock.counts.set("page", "<img src=x onerror=alert(1)>");
  body = "<b data-visits></b>";
  await visit("/page");
  await eventually("the text", async () => (await open.page.textContent("b")).startsWith("<img"));
  assert.equal(await open.page.locator("img").count(), 0);
});

test("data-record=off shows counts and counts nothing by itself", async () => {
  head = tag(mock, 'data-record="off"');
  body = '<b data-visits="other"></b>';
  await visit("/list");
  await open.page.evaluate(() => history.pushState({}, "", "/list/2"));
  await eventually("the count", () => open.page.evaluate(() => document.querySelector("b").textContent === "0"));
  await cameIn([]);
});

test("data-api names another counter, with a path before its routes", async () => {
  const other = await counter();
  head = tag(mock, `data-api="${other.origin}/stage/"`);
  await visit("/page");
  await other.received(1);
  assert.equal(other.posts()[0].path, "/stage/visits");
  assert.deepEqual(mock.asked, []);
  await other.stop();
});

test("data-counts names where counts are read, and visits go where they went", async () => {
  const reads = await counter();
  head = tag(mock, `data-api="${mock.origin}/" data-counts="${reads.origin}/"`);
  body = "<b data-visits>…</b>";
  await visit("/page");
  await cameIn(["page"]);
  await eventually("the count", () => open.page.evaluate(() => document.querySelector("b").textContent === "0"));
  assert.deepEqual(reads.posts(), []);
  assert.ok(!mock.asked.some(({ method, path }) => method === "GET" && path.startsWith("/visits")));
  await reads.stop();
});

/** The warnings of the page from now on. */
function warnings() {
  const texts = [];
  open.page.on("console", (message) => message.type() === "warning" && texts.push(message.text()));
  return texts;
}

test("an id that the counter would refuse is left out alone, and said on the console", async () => {
  const said = warnings();
  await visit("/page");
  const refused = await open.page.evaluate(() => {
    const crab = "🦀";
    const halves = [crab.slice(0, 1), crab.slice(1), `a${crab.slice(0, 1)}b`];
    const pages = ["", "a\nb", "\u0085", "x".repeat(513), "é".repeat(257), ...halves, null, 42, {}, ["a"], Symbol("a")];
    window.visits.record("before");
    for (const page of pages) window.visits.record(page);
    window.visits.record("é".repeat(256));
    window.visits.record(crab.repeat(128));
    window.visits.record('%41"\\');
    return pages.length;
  });
  const accepted = ["page", "before", "é".repeat(256), "🦀".repeat(128), '%41"\\'];
  await cameIn(accepted);
  assert.deepEqual([...mock.counts.keys()].sort(), [...accepted, "the end"].sort());
  assert.equal(said.length, refused);
  assert.ok(
    said.every((text) => text.startsWith("visits: ") && text.includes("1 to 512 bytes")),
    said.join(),
  );
});

test("an element with an id that the counter would refuse stops no other", async () => {
  const said = warnings();
  mock.counts.set("good", 5);
  body = `<b>-</b><i data-visits="good"></i><script>
    document.querySelector("b").dataset.visits = "🦀".slice(0, 1);
  </script>`;
  await visit("/page");
  await eventually("the count", () => open.page.evaluate(() => document.querySelector("i").textContent === "5"));
  assert.equal(await open.page.textContent("b"), "-");
  assert.equal(said.length, 1);
  assert.deepEqual(open.problems, []);
});

test("nothing is kept in the browser, and cookies are not sent to the counter", async () => {
  body = "<b data-visits></b>";
  await visit("/page");
  // A beacon would carry cookies: the browser leaves no choice.
  await mock.received(1);
  await open.page.reload();
  await mock.received(2);
  const kept = await open.page.evaluate(async () => [
    document.cookie,
    localStorage.length,
    sessionStorage.length,
    (await indexedDB.databases()).length,
    (await caches.keys()).length,
  ]);
  assert.deepEqual(kept, ["", 0, 0, 0, 0]);
  // The mock sets one with the script, to see that the requests leave it out.
  assert.deepEqual(
    (await open.context.cookies()).map(({ name }) => name),
    ["of-the-counter"],
  );
  assert.deepEqual(
    mock.asked.filter(({ headers }) => headers.cookie),
    [],
  );
});
