// Signing in and out, and what the page says when something is wrong: a shard, the server, the session.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch } from "./browser.mjs";
import { SHARDS } from "./dashboard-data.mjs";
import { drawn, MOCK_ONLY, openDashboard, openSignedIn, signIn, startSystem, unexpected } from "./dashboard-kit.mjs";
import { unavailable, unheard } from "./dashboard-mock.mjs";

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
const asked = (path) => mock.requests.filter((request) => request.path.startsWith(path)).map((request) => request.path);

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

test("the session is a cookie of this host alone, which the browser keeps from http://localhost too", async () => {
  await open();
  const cookies = await opened.context.cookies();
  assert.deepEqual(
    cookies.map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path })),
    [{ name: "__Host-visits_session", httpOnly: true, secure: true, sameSite: "Strict", path: "/" }],
  );
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

test("a shard that is down is warned about by name, and shown in the table", MOCK_ONLY, async () => {
  mock.faults.down = ["redis_7071"];
  const page = await open();
  await warning(page, "Some figures are too low: redis_7071 does not answer.");
  await page.getByText("1 of 4 shards does not answer. Check that its Redis server runs").waitFor();
  assert.deepEqual(await page.locator("#health td.down").allTextContents(), ["No answer"]);
});

test(
  "a page whose shard is down says so in its card, with what to do, and comes back by itself",
  MOCK_ONLY,
  async () => {
    const page = await open();
    mock.faults.down = ["redis_7071"];
    mock.faults.fail = { method: "GET", path: "/history/", answer: unheard };
    await page.locator("#top a").first().click();
    await page
      .locator("#page-failed", { hasText: "A shard that is needed does not answer; check that its Redis server runs" })
      .waitFor();
    await warning(page, "Some figures are too low: redis_7071 does not answer. Check that its Redis server runs");
    assert.ok(!(await page.locator("#warning").textContent()).includes("A shard that is needed"), "said once");
    assert.ok(!(await page.locator("#page-actions").isVisible()), "what is not known is not changed");
    mock.faults.down = [];
    await page.getByRole("button", { name: "Refresh" }).click();
    await drawn(page, "#page-days");
    assert.ok(!(await page.locator("#page-failed").isVisible()));
  },
);

test("while no shard answers, figures are unknown and not zero", MOCK_ONLY, async () => {
  mock.faults.down = SHARDS;
  const page = await open();
  await warning(page, `No figures can be read: ${SHARDS.join(", ")} do not answer. Check that`);
  for (const list of ["#today", "#total", "#refused"]) {
    assert.deepEqual([...new Set(await page.locator(`${list} dd`).allTextContents())], ["–"], list);
  }
  await page.getByText("The list cannot be shown. A shard that is needed does not answer; check that").waitFor();
  assert.ok(!(await page.locator("#top").isVisible()));
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

test("a link that is followed before the first answer is there leads where it says", MOCK_ONLY, async () => {
  const page = await open({ signedIn: false });
  for (const signedIn of [false, true]) {
    if (signedIn) {
      await signIn(page, system.token);
      await drawn(page, "#page-days");
    }
    // The first question is answered once the link was followed.
    let follow;
    const followed = new Promise((resolve) => {
      follow = resolve;
    });
    await page.route("**/session", async (route) => {
      await followed;
      await route.continue().catch(() => {});
    });
    await page.goto("about:blank");
    await page.goto(`${system.base}/dashboard`);
    await page.evaluate(() => location.assign("#page=blog"));
    follow();
    if (signedIn) await drawn(page, "#page-days");
    else await page.locator("#sign-in").waitFor();
    await page.unroute("**/session");
  }
  assert.equal(await page.locator("#page-id").textContent(), "blog");
  assert.deepEqual(unexpected(opened.problems), []);
});

test("a session that the browser did not keep is explained", MOCK_ONLY, async () => {
  mock.faults.expired = true;
  const page = await open({ signedIn: false });
  await signIn(page, system.token);
  await page
    .getByText("The browser did not keep the session. Open the dashboard over HTTPS, or at localhost.")
    .waitFor();
});

test("a single day, a page without visits, and no days kept are shown as such", MOCK_ONLY, async () => {
  const page = await open({ hash: "#days=1" });
  await page.getByText("Today, so far: 5,410 visits by people, 3,007 unique visitors, 747 visits by bots.").waitFor();
  await page.goto(`${system.base}/dashboard#page=nobody`);
  await page.getByText("No visit of a page with exactly this id is recorded.").waitFor();
  assert.deepEqual(opened.problems, []);
  mock.faults.noDays = true;
  await page.reload();
  await warning(page, "No days are kept here (VISITS_HISTORY_DAYS=0).");
  assert.equal(await page.locator("#starting").textContent(), "", "nothing is promised");
});

test("the dashboard works behind an API stage", MOCK_ONLY, async () => {
  const page = await open({ signedIn: false, prefix: "/prod" });
  await signIn(page, system.token);
  await drawn(page);
  assert.deepEqual(unexpected(opened.problems), []);
});
