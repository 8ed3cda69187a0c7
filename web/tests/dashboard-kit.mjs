// What the dashboard's tests and its screenshots share: the system under test, and opening the page signed in.

import { openPage, SIZES } from "./browser.mjs";
import { startMock, TOKEN } from "./dashboard-mock.mjs";

/** Set with `VISITS_TOKEN`, the tests that need no made-up figures run against a real system: `http://localhost:9000`. */
export const REAL = process.env.VISITS_BASE?.replace(/\/$/, "");

/** `{skip}` for a test that needs the mock's figures or faults. */
export const MOCK_ONLY = { skip: REAL ? "needs the mock" : false };

/** The system under test: `{base, token, mock, stop}`; `mock` is null for a real one. */
export async function startSystem(options) {
  if (REAL) return { base: REAL, token: process.env.VISITS_TOKEN, mock: null, stop: async () => {} };
  const mock = await startMock(options);
  return { base: mock.base, token: TOKEN, mock, stop: mock.stop };
}

/** Every size in light and in dark. */
export const LOOKS = Object.keys(SIZES).flatMap((size) =>
  ["light", "dark"].map((colorScheme) => ({ size, colorScheme })),
);

/**
 * What Chromium writes to the console by itself about an answer of 401: that no one is signed in is only known by
 * asking, and no page can keep it from the console.
 */
const ASKED = /^Failed to load resource: the server responded with a status of 401/;

/** The problems of a page less the refusals that a sign-in begins with. */
export const unexpected = (problems) => problems.filter((text) => !ASKED.test(text));

/** A page at the dashboard, not signed in. `violations()` lists breaches of the Content-Security-Policy. */
export async function openDashboard(browser, system, { size = "desktop", hash = "", prefix = "", ...options } = {}) {
  const opened = await openPage(browser, size, {
    colorScheme: "light",
    locale: "en-GB",
    timezoneId: "UTC",
    ...options,
  });
  const { page } = opened;
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => {
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await page.goto(`${system.base}${prefix}/dashboard${hash}`);
  return { ...opened, violations: () => page.evaluate(() => window.violations) };
}

export async function signIn(page, token) {
  await page.getByLabel("Owner’s token", { exact: true }).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The chart of the site, or of a page, is drawn. */
export const drawn = (page, panel = "#site-days") => page.locator(`${panel} canvas`).waitFor();

/** A page of one who was signed in before: from here on the console must stay empty. */
export async function openSignedIn(browser, system, options = {}) {
  const opened = await openDashboard(browser, system, options);
  await signIn(opened.page, system.token);
  await drawn(opened.page, options.hash?.includes("page=") ? "#page-days" : "#site-days");
  await opened.page.locator("#figures:not([aria-busy])").waitFor();
  opened.problems.length = 0;
  return opened;
}
