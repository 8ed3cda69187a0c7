// What the browser tests share: Chromium, pages at the size of a desktop and of a phone with their problems gathered,
// the accessibility check, and a wait for something to become so.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM || "/usr/bin/chromium";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The sizes that pages are tested at, by name. */
export const SIZES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

/** Starts Chromium; the caller closes it. */
export const launch = () => chromium.launch({ executablePath: EXECUTABLE, args: ARGS, headless: true });

/**
 * Opens an address in a Chromium that prerenders what the page asks for, and returns how to end it. One that is driven from
 * outside prerenders nothing.
 */
export async function prerender(address) {
  const folder = mkdtempSync(join(tmpdir(), "visits-prerender-"));
  const options = ["--headless=new", `--user-data-dir=${folder}`, "--remote-debugging-port=0", address];
  const chromium = spawn(EXECUTABLE, [...ARGS, ...options], { stdio: "ignore" });
  return async () => {
    const ended = new Promise((resolve) => chromium.once("exit", resolve));
    chromium.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
}

/**
 * A new page in a context of its own: nothing is shared with other pages. `problems` gathers what a visitor's console
 * would show as an error, and every exception. `options` are those of Playwright's newContext.
 */
export async function openPage(browser, size = "desktop", options = {}) {
  const context = await browser.newContext({ ...SIZES[size], userAgent: await userAgent(browser), ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  return { context, page, problems };
}

/** The browser's own, less what would have its visits filed under bots. */
async function userAgent(browser) {
  const page = await browser.newPage();
  const own = await page.evaluate(() => navigator.userAgent);
  await page.close();
  return own.replace("HeadlessChrome", "Chrome");
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * The accessibility violations of a page as lines `rule: what is wrong (where)`; empty when there are none. Works under
 * a strict Content-Security-Policy, since nothing is added to the page.
 */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ target }) => target).join("; ")})`);
}

/** What `look` gives as soon as it gives something true; looks again and again, for at most `seconds`. */
export async function eventually(what, look, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
