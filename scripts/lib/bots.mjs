// Writes what scripts/update-bots vendors: node bots.mjs <node_modules> <folder>. The first line of each file names its
// package, version and licence; agents stand behind what isbot itself says of them.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, target] = process.argv.slice(2);
const read = (...names) => fs.readFileSync(path.join(modules, ...names), "utf8");
const { isbot, list } = await import(pathToFileURL(path.resolve(modules, "isbot", "index.mjs")));

function write(name, folder, file, lines) {
  const { version, license } = JSON.parse(read(name, "package.json"));
  const text = [`# ${name} ${version} (npm), ${license}`, ...lines].join("\n") + "\n";
  // Each is a line, with a tab only behind a verdict.
  for (const line of lines) if (/[\r\n]/.test(line) || line === "") throw new Error(`not a line: ${JSON.stringify(line)}`);
  fs.mkdirSync(path.join(target, folder), { recursive: true });
  fs.writeFileSync(path.join(target, folder, file), text);
  fs.copyFileSync(path.join(modules, name, "LICENSE"), path.join(target, folder, `LICENSE.${name}`));
}

// Sorted, so that a new version's difference is short: packages change their order.
const judged = (agents) => [...new Set(agents)].sort().map((agent) => `${isbot(agent) ? "bot" : "browser"}\t${agent}`);

const crawlers = JSON.parse(read("crawler-user-agents", "crawler-user-agents.json")).flatMap((entry) => entry.instances);
const browsers = JSON.parse(read("user-agents", "dist", "user-agents.json")).map((entry) => entry.userAgent);
write("isbot", "patterns", "isbot.txt", list);
write("crawler-user-agents", "tests/fixtures", "crawler-user-agents.tsv", judged(crawlers));
write("user-agents", "tests/fixtures", "user-agents.tsv", judged(browsers));
