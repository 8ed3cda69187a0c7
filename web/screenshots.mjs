// Takes the README's pictures of the dashboard into docs/images: with the mock's figures, or of a real system with
// VISITS_BASE and VISITS_TOKEN.
//
//   node web/screenshots.mjs

import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { launch } from "./tests/browser.mjs";
import { drawn, openSignedIn, startSystem } from "./tests/dashboard-kit.mjs";

const IMAGES = fileURLToPath(new URL("../docs/images/", import.meta.url));
/** A README should stay quick to open. */
const MOST_BYTES = 150_000;
const PICTURES = [
  { name: "dashboard-desktop.png", size: "desktop", colorScheme: "light", viewport: { width: 1080, height: 1060 } },
  {
    name: "dashboard-phone.png",
    size: "phone",
    colorScheme: "dark",
    viewport: { width: 390, height: 880 },
    deviceScaleFactor: 1.5,
  },
];

async function picture(browser, system, { name, viewport, ...look }) {
  const { page, context } = await openSignedIn(browser, system, look);
  await page.setViewportSize(viewport);
  await page.locator("#top a").first().waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await drawn(page);
  // The chart draws itself anew in the frame after its place has another size.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: IMAGES + name, animations: "disabled" });
  await context.close();
  const { size } = statSync(IMAGES + name);
  console.log(`docs/images/${name}: ${size} bytes`);
  if (size > MOST_BYTES) throw new Error(`${name} is larger than ${MOST_BYTES} bytes`);
}

mkdirSync(IMAGES, { recursive: true });
const browser = await launch();
const system = await startSystem({ hostile: false });
try {
  for (const one of PICTURES) await picture(browser, system, one);
} finally {
  await browser.close();
  await system.stop();
}
