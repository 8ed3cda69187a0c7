// Bundles what browsers run into functions/dashboard/assets, where the function is built from: a machine with Rust alone
// can build it, so what comes out is committed.
//
//   node web/build.mjs            writes the files
//   node web/build.mjs --check    fails when the committed files are not what the sources give, or are too large

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const WEB = fileURLToPath(new URL(".", import.meta.url));
const ASSETS = join(WEB, "../functions/dashboard/assets");

// What a browser transfers at most, in bytes of gzip -9.
const LIMITS = [
  { name: "counter.js", files: ["counter.js"], most: 1900 },
  { name: "dashboard", files: ["index.html", "app.js", "app.css"], most: 150_000 },
];

/** One source and all that it imports, minified. */
async function bundle(source, target) {
  const result = await build({
    absWorkingDir: WEB,
    entryPoints: [source],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    target,
    outdir: "out",
  });
  if (result.outputFiles.length > 1) throw new Error(`${source}: import style sheets in app.css, not in app.js`);
  return result.outputFiles[0].contents;
}

/** The built files by name. */
async function assets() {
  const built = new Map([["counter.js", await bundle("counter/counter.js", "es2020")]]);
  for (const source of ["dashboard/app.js", "dashboard/app.css", "demo/demo.js"]) {
    // Browsers of 2022: the owner's own, not every visitor's.
    built.set(basename(source), await bundle(source, ["es2022", "chrome105", "firefox110", "safari16"]));
  }
  for (const page of ["dashboard/index.html", "demo/demo.html"]) {
    built.set(basename(page), readFileSync(join(WEB, page)));
  }
  return built;
}

/** Prints the transferred size of each part; the names of those that are too large. */
function tooLarge(built) {
  return LIMITS.filter(({ name, files, most }) => {
    const size = files.reduce((sum, file) => sum + gzipSync(built.get(file), { level: 9 }).length, 0);
    console.log(`${name}: ${size} of ${most} bytes`);
    return size > most;
  }).map(({ name }) => `${name} is too large`);
}

function stale(built) {
  return [...built]
    .filter(([name, contents]) => !existsSync(join(ASSETS, name)) || !readFileSync(join(ASSETS, name)).equals(contents))
    .map(([name]) => `functions/dashboard/assets/${name} is not what web/ gives: run make web`);
}

const built = new Map([...(await assets())].map(([name, contents]) => [name, Buffer.from(contents)]));
if (!process.argv.includes("--check")) {
  mkdirSync(ASSETS, { recursive: true });
  for (const [name, contents] of built) writeFileSync(join(ASSETS, name), contents);
}
const wrong = [...tooLarge(built), ...stale(built)];
for (const text of wrong) console.error(`error: ${text}`);
process.exitCode = wrong.length > 0 ? 1 : 0;
