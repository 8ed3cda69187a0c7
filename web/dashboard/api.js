// The calls that the dashboard makes, all to its own origin, and their failures in plain words.

// In front of every path when the API has a stage: "/prod" of "/prod/dashboard".
export const BASE = location.pathname.replace(/\/dashboard\/?$/, "");
/** Longer than any answer of the functions takes; then the network or a shard hangs. */
const TIMEOUT_MS = 20_000;

/** A call that did not succeed. `kind` is the API's problem kind, or `network` when no answer came. */
export class Failure extends Error {
  constructor(message, { status = 0, kind = "network" } = {}) {
    super(message);
    this.status = status;
    this.kind = kind;
  }

  /** Whether the same request may succeed later, or may even have succeeded unseen. */
  get unclear() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The API's details begin small and end without a full stop; here they stand among sentences. */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

async function failureOf(response) {
  const { status } = response;
  // A gateway in front of the functions answers with other bodies, or with none.
  const problem = await response.json().catch(() => null);
  const kind = String(problem?.type ?? "").replace("urn:visits:problem:", "");
  const words = status === 429 ? "There were too many requests. Wait a moment." : `The server answered ${status}.`;
  return new Failure(sentence(String(problem?.detail ?? words)), { status, kind });
}

async function call(method, path, { body, headers = {}, signal } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  signal?.addEventListener("abort", () => stop.abort());
  const request = {
    method,
    // The header shows the server that this page sent the request, and not a form of another site.
    headers: { "X-Requested-With": "visits", ...headers },
    cache: "no-store",
    signal: stop.signal,
  };
  if (body) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(BASE + path, request);
    if (!response.ok) throw await failureOf(response);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Failure || signal?.aborted) throw error;
    const late = stop.signal.aborted;
    throw new Failure(late ? "The server took too long to answer." : "The server cannot be reached.");
  } finally {
    clearTimeout(timer);
  }
}

/** The page id as the last part of a path. A slash is escaped too: so `a/../b` stays as it is. */
function pathOf(prefix, page) {
  // A browser resolves these two, escaped or not, before it sends anything.
  if (page === "." || page === "..") {
    throw new Failure(`A browser cannot ask for a page called “${page}”. Use the command line.`, { kind: "dots" });
  }
  return `${prefix}${encodeURIComponent(page.toWellFormed?.() ?? page)}`;
}

export const summary = (days, signal) => call("GET", `/summary?days=${days}`, { signal });

export const history = async (page, days, signal) =>
  call("GET", `${pathOf("/history/", page)}?days=${days}`, { signal });

export function top(days, limit, search, signal) {
  const text = search ? `&search=${encodeURIComponent(search.toWellFormed?.() ?? search)}` : "";
  return call("GET", `/top?days=${days}&limit=${limit}${text}`, { signal });
}

/** Whether this browser's session holds, and whether there is an owner at all. */
export const whoAmI = (signal) => call("GET", "/session", { signal });
export const signIn = (token) => call("POST", "/session", { body: { token } });
export const signOut = () => call("DELETE", "/session");

/** Sets a page's count exactly once for each `key`. */
export const setCount = async (page, count, key) =>
  call("PUT", pathOf("/visits/", page), { body: { count }, headers: { "Idempotency-Key": key } });

/** Forgets a page and its history. */
export const deletePage = async (page, key) =>
  call("DELETE", pathOf("/visits/", page), { headers: { "Idempotency-Key": key } });
