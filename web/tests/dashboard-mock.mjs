// A server that answers like the `dashboard` function, for tests of the page alone: the real files, the real headers, made-up
// figures. Its `faults` make it fail in the ways that the page must survive.
//
//   node web/tests/dashboard-mock.mjs [port]      to look at the page by hand; the token is "owner-token"

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { daysOf, makePages, NOW, SHARDS } from "./dashboard-data.mjs";

export const TOKEN = "owner-token";
const ASSETS = new URL("../../functions/dashboard/assets/", import.meta.url);
const SESSION = "__Host-visits_session=mock";
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const FILES = {
  "/dashboard": ["index.html", "text/html; charset=utf-8"],
  "/dashboard/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/dashboard/app.css": ["app.css", "text/css; charset=utf-8"],
};

const problem = (status, kind, detail) => ({
  status,
  type: "application/problem+json",
  body: { type: `urn:visits:problem:${kind}`, title: kind, status, detail },
});
const fine = (body, status = 200) => ({ status, type: "application/json", body });

/** The site's days; of a site with `faults.visits` they are all of the present day, by as many people. */
function siteDays({ faults: { visits } }, days) {
  const all = daysOf(4200, 1).slice(-days);
  if (visits === undefined) return all;
  return all.map(({ day }, index) => {
    const people = index === all.length - 1 ? visits : 0;
    return { day, people, bots: 0, visitors: people };
  });
}

export const unheard = problem(
  503,
  "statistics-unavailable",
  "a shard that is needed does not answer; check that its Redis server runs and that the functions can reach it",
);

function summary(mock, days) {
  const { down = [], visits } = mock.faults;
  const dark = down.length === SHARDS.length;
  const all = siteDays(dark ? { faults: { visits: 0 } } : mock, days);
  const shards = SHARDS.map((name, index) => {
    return down.includes(name) ? { name, status: "down" } : { name, status: "ok", latency_ms: 0.4 + index * 0.15 };
  });
  const { people, visitors, bots } = all.at(-1);
  const total = { visits: 1_720_345, people: 1_432_120, bots: 288_225 };
  return fine({
    from: all[0].day,
    to: all.at(-1).day,
    today: { day: all.at(-1).day, people, bots, visitors },
    total: dark || visits !== undefined ? { visits: people, people, bots } : total,
    days: all,
    refused: { origin: 12 * days, page: 3, repeat: 41 * days, new_page: 0, ...mock.faults.refused },
    shards,
    complete: down.length === 0,
    as_of: NOW,
    flush_interval_s: 30,
    history_days: 400,
  });
}

function top(mock, query) {
  const days = Number(query.get("days"));
  const limit = Number(query.get("limit"));
  const text = query.get("search") ?? "";
  const { down = [], visits } = mock.faults;
  if (down.length === SHARDS.length) return unheard;
  const all = siteDays(mock, days);
  const own = visits ? [["home", { perDay: visits / days }]] : [];
  const pages = [...(visits === undefined ? mock.pages : own)]
    .filter(([page]) => page.includes(text))
    .map(([page, { perDay }]) => ({ page, people: Math.round(perDay * days) }))
    .filter(({ people }) => people > 0)
    .sort((one, other) => other.people - one.people)
    .slice(0, limit);
  return fine({ from: all[0].day, to: all.at(-1).day, pages, complete: down.length === 0, as_of: NOW });
}

function history(mock, page, days) {
  const known = mock.pages.get(page) ?? { perDay: 0, people: 0, bots: 0 };
  const all = daysOf(known.perDay, page.length + 7).slice(-days);
  return fine({
    page,
    from: all[0].day,
    to: all.at(-1).day,
    visits: known.people + known.bots,
    bots: known.bots,
    days: all,
    as_of: NOW,
  });
}

/** Set and delete, each once for a key. */
function change(mock, { method, page, key, body, guard }) {
  if (guard !== "visits") return problem(403, "forged-request", "a session's change needs `X-Requested-With: visits`");
  if (!key) return problem(400, "invalid-idempotency-key", "the header `Idempotency-Key` is missing");
  const count = method === "PUT" ? body?.count : 0;
  if (!Number.isSafeInteger(count) || count < 0)
    return problem(400, "invalid-count", "`count` is a whole number from 0");
  const earlier = mock.done.get(key);
  if (earlier) return fine({ ...earlier, repeated: true });
  const known = mock.pages.get(page);
  const previous = known ? known.people + known.bots : 0;
  if (method === "DELETE") mock.pages.delete(page);
  else mock.pages.set(page, { perDay: known?.perDay ?? 0, people: count, bots: 0 });
  const answer = { page, count, previous, repeated: false };
  mock.done.set(key, answer);
  return fine(answer);
}

function session(mock, { method, headers }, body) {
  if (method === "GET") {
    const { noToken, historyDays = 400 } = mock.faults;
    return fine({ signed_in: isOwner(mock, headers), token_configured: !noToken, history_days: historyDays });
  }
  if (method === "DELETE") return { status: 204, cookie: `${SESSION}; Max-Age=0` };
  if (mock.faults.noToken) return problem(403, "owner-token-missing", "no owner's token is configured");
  if (body?.token !== TOKEN) return problem(401, "unauthorized", "the token is wrong");
  return { status: 204, cookie: SESSION };
}

function pageAfter(path, prefix) {
  return path.startsWith(prefix) ? decodeURIComponent(path.slice(prefix.length)) : null;
}

function isOwner({ faults }, { cookie = "", authorization = "" }) {
  if (faults.noToken) return false;
  return (cookie.includes(SESSION) && !faults.expired) || authorization === `Bearer ${TOKEN}`;
}

function owner(mock, request, url, body) {
  if (mock.faults.noToken) return problem(403, "owner-token-missing", "no owner's token is configured");
  if (!isOwner(mock, request.headers)) return problem(401, "unauthorized", "this needs the owner's token");
  if (mock.faults.noDays) return problem(404, "history-off", "no days are kept here (VISITS_HISTORY_DAYS=0)");
  const days = Number(url.searchParams.get("days") ?? 30);
  if (url.pathname === "/summary") return summary(mock, days);
  if (url.pathname === "/top") return top(mock, url.searchParams);
  const past = pageAfter(url.pathname, "/history/");
  if (past !== null) return history(mock, past, days);
  const page = pageAfter(url.pathname, "/visits/");
  const key = request.headers["idempotency-key"];
  const guard = request.headers["x-requested-with"];
  if (page !== null) return change(mock, { method: request.method, page, key, body, guard });
  return problem(404, "unknown-route", "no such route");
}

function answerOf(mock, request, url, text) {
  const file = FILES[url.pathname];
  if (file) return { status: 200, type: file[1], bytes: readFileSync(fileURLToPath(new URL(file[0], ASSETS))) };
  const body = text ? JSON.parse(text) : null;
  mock.requests.push({ method: request.method, path: url.pathname + url.search, headers: request.headers, body });
  if (url.pathname === "/session") return session(mock, request, body);
  return owner(mock, request, url, body);
}

function send(response, { status, type, body, bytes, cookie }) {
  response.statusCode = status;
  response.setHeader("Content-Security-Policy", POLICY);
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cache-Control", "no-store");
  if (type) response.setHeader("Content-Type", type);
  if (cookie) response.setHeader("Set-Cookie", `${cookie}; HttpOnly; Secure; SameSite=Strict; Path=/`);
  response.end(bytes ?? (body ? JSON.stringify(body) : undefined));
}

/**
 * Starts the mock on a free port. `faults` may be changed at any time: `noToken`, `expired`, `noDays`, `down` (names of shards),
 * `visits` (how many a new site has), `refused` (how many visits were), `lose` (a method: its requests are carried out but their
 * answers are lost) and `fail` (`{method, path, answer}`: the next request by that method, below that path, gets this answer
 * and is not carried out).
 */
export async function startMock({ port = 0, hostile = true } = {}) {
  const mock = { pages: makePages({ hostile }), done: new Map(), requests: [], faults: {} };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      // A stage of API Gateway, as in /prod/dashboard, is in front of every path.
      const url = new URL(request.url.replace(/^\/prod\//, "/"), "http://mock");
      const { lose, fail } = mock.faults;
      if (fail?.method === request.method && url.pathname.startsWith(fail.path ?? "/")) {
        mock.faults.fail = undefined;
        mock.requests.push({ method: request.method, path: request.url, headers: request.headers });
        return send(response, fail.answer);
      }
      const answer = answerOf(mock, request, url, Buffer.concat(chunks).toString());
      if (lose === request.method) return request.socket.destroy();
      send(response, answer);
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  mock.base = `http://localhost:${server.address().port}`;
  mock.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return mock;
}

export const unavailable = problem(503, "store-unavailable", "the page's shard does not answer");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 0) });
  console.log(`${mock.base}/dashboard (token: ${TOKEN})`);
}
