// Two small servers for the tests of counter.js, on free ports and so on different origins: a site whose pages include
// the script, and a counter that keeps what it is asked and answers as a test says.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { eventually } from "./browser.mjs";

const SCRIPT = new URL("../../functions/dashboard/assets/counter.js", import.meta.url);

/** Starts a server on a free port of this machine; its origin and how to stop it. */
export async function serve(handle) {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => handle({ request, body, url: new URL(request.url, "http://mock") }, response));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { origin: `http://localhost:${server.address().port}`, stop };
}

/** A site: each path gives `html`, a function of the path. */
export const site = (html) =>
  serve(({ url }, response) => {
    if (url.pathname === "/favicon.ico") return response.writeHead(204).end();
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html(url.pathname));
  });

/** An answer for `counter.answer`: a problem of the counter. */
export const problem = (status, kind, headers = {}) => ({
  status,
  body: JSON.stringify({ type: `urn:visits:problem:${kind}`, status }),
  headers: { "content-type": "application/problem+json", ...headers },
});

/** Breaks the connection instead of an answer. */
export const BREAK = { breaks: true };

/** Never answers. */
export const HOLD = { holds: true };

/** Whether the counter takes a page id, as far as the tests try that. */
const isPageId = (page) => {
  try {
    return typeof page === "string" && encodeURIComponent(page) !== "";
  } catch {
    return false;
  }
};

const COOKIE = "of-the-counter=1; HttpOnly";

/** A counter. `asked` holds every request but those for the script; `answers` are given to the next POSTs, then 200. */
export async function counter() {
  const state = { asked: [], answers: [], counts: new Map() };
  const cors = { "access-control-allow-origin": "*", "access-control-expose-headers": "retry-after" };

  const answer = (visit, response) => {
    const usual = visit.pages.every(isPageId)
      ? { status: 200, body: '{"status":"success"}' }
      : problem(400, "invalid-body");
    const { status, body, headers, breaks, holds } = state.answers.shift() || usual;
    if (breaks) return response.destroy();
    if (holds) return;
    if (status === 200) for (const page of visit.pages) state.counts.set(page, (state.counts.get(page) || 0) + 1);
    response.writeHead(status, { ...cors, ...headers }).end(body);
  };

  const counts = (url, response) => {
    const visits = url.searchParams
      .getAll("page")
      .map((page) => ({ page, count: state.counts.has(page) ? state.counts.get(page) : 0 }));
    response.writeHead(200, { ...cors, "content-type": "application/json" }).end(JSON.stringify({ visits }));
  };

  const server = await serve(({ request, body, url }, response) => {
    if (url.pathname.endsWith("/counter.js")) {
      // A connection of its own: Chromium itself repeats what breaks on one that was used before.
      const headers = { "content-type": "text/javascript", connection: "close", "set-cookie": COOKIE, ...cors };
      return response.writeHead(200, headers).end(readFileSync(SCRIPT));
    }
    const visit = { method: request.method, path: url.pathname, query: url.search, headers: request.headers };
    const [, single] = url.pathname.match(/\/visit\/(.*)/) || [];
    if (request.method === "POST") visit.pages = single ? [decodeURIComponent(single)] : JSON.parse(body);
    state.asked.push(visit);
    if (request.method === "POST") return answer(visit, response);
    counts(url, response);
  });
  return Object.assign(state, server, {
    posts: () => state.asked.filter(({ method }) => method === "POST"),
    /** All visits that came in, counted or not, in the order of their coming. */
    visits: () => state.posts().flatMap(({ pages }) => pages),
    /** Waits until as many visits came in, and gives them. */
    received: (number) =>
      eventually(`${number} visits, there are ${JSON.stringify(state.visits())}`, () => {
        const visits = state.visits();
        return visits.length >= number && visits;
      }),
  });
}

/** The script's tag. */
export const tag = (counter, attributes = "") => `<script src="${counter.origin}/counter.js" ${attributes}></script>`;

/** A document that includes the script. */
export const html = (head, body = "") =>
  `<!doctype html><html lang="en"><head><title>Test</title>${head}</head><body>${body}</body></html>`;
