// The dashboard: decides what is shown, loads it, and keeps it fresh.
import { Failure, history, summary, top, whoAmI } from "./api.js";
import { setUpChanges } from "./change.js";
import { byId, say, setText, showOnly } from "./dom.js";
import { showOverview, showState } from "./overview.js";
import { failPage, leavePage, setUpPage, showPage } from "./page.js";
import { daysFrom, format, limitDays, maxDays, parse } from "./place.js";
import { setUpSession } from "./session.js";
import { chosen, linkTo, setUpTop, showTop, topSaid } from "./top.js";

/** How often the figures are asked for while the page is in view: no more often than visits are flushed. */
const REFRESH_MS = 30_000;
const ENDED = "Your session has ended. Sign in again.";
/** The cookie is for HTTPS only; browsers make an exception for the machine itself. */
const NOT_KEPT = "The browser did not keep the session. Open the dashboard over HTTPS, or at localhost.";
const VIEWS = ["starting", "sign-in", "closed", "figures"];

let place = parse(location.hash);
let signedIn = false;
let loading = null; // the abort controller of the load under way
let loadedAt = 0;

function showView(view) {
  showOnly(view, VIEWS);
  byId("sign-out").hidden = byId("refresh").hidden = view !== "figures";
}

function showSignIn(words = "") {
  loading?.abort();
  const was = !byId("sign-in").hidden;
  if (byId("confirm").open) byId("confirm").close();
  signedIn = false;
  // Whoever signs in next must not change the page that was open before.
  leavePage();
  setText(byId("warning"), "");
  setText(byId("done"), words);
  showView("sign-in");
  document.title = "Sign in · Visits";
  if (!was) byId("token").focus();
}

function showClosed() {
  showView("closed");
  byId("closed-title").focus();
}

/** Shows the chosen number of days in the controls. */
function showRange() {
  for (const radio of document.getElementsByName("days")) {
    radio.checked = Number(radio.value) === place.days;
    radio.closest("label").hidden = Number(radio.value) > maxDays;
  }
  byId("other-days").max = String(maxDays);
  if (document.activeElement !== byId("other-days")) byId("other-days").value = String(place.days);
  byId("back").href = format({ days: place.days, page: null });
}

/** What the present place needs besides the summary. */
const detail = ({ days, page }, signal) =>
  page === null ? top(days, chosen.limit, chosen.search, signal) : history(page, days, signal);

/** Why no figures would come, as a promise that failed; null when they would. Asked for figures that it refuses, the server
 * would answer with errors, which browsers log. */
async function refusal(signal) {
  const [answer] = await Promise.allSettled([whoAmI(signal)]);
  if (answer.status === "rejected") return answer;
  const { signed_in, token_configured, history_days: kept } = answer.value;
  limitDays(kept);
  place = parse(location.hash);
  if (signed_in) return null;
  const why = token_configured ? { status: 401, kind: "unauthorized" } : { status: 403, kind: "owner-token-missing" };
  return { status: "rejected", reason: new Failure("", why) };
}

/** The place, and both answers as settled promises. */
async function ask(signal) {
  const refused = signedIn ? null : await refusal(signal);
  const wanted = place;
  if (refused) return [wanted, refused, refused];
  return [wanted, ...(await Promise.allSettled([summary(wanted.days, signal), detail(wanted, signal)]))];
}

/** Loads the present place and shows it; a newer load makes an older one stop. `refused` is said when no session holds. */
async function load(refused = signedIn ? ENDED : "") {
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  const [wanted, state, rest] = await ask(mine.signal);
  if (mine.signal.aborted) return null;
  byId("figures").removeAttribute("aria-busy");
  const failures = [state, rest].filter((answer) => answer.status === "rejected").map((answer) => answer.reason);
  if (failures.some((failure) => failure.kind === "owner-token-missing")) return showClosed();
  if (failures.some((failure) => failure.status === 401)) {
    return showSignIn(refused);
  }
  signedIn ||= state.status === "fulfilled";
  loadedAt = Date.now();
  show(wanted, state, rest, failures);
  return rest.status === "fulfilled" ? rest.value : null;
}

function show({ days, page }, state, rest, failures) {
  const warnings = [...new Set(failures.map((failure) => failure.message))].map(stale);
  if (wasEmpty(state)) {
    setText(byId("warning"), warnings.join(" "));
    setText(byId("starting"), "No figures yet. They are asked for again in half a minute.");
    return;
  }
  showView("figures");
  showOnly(page === null ? "overview" : "page", ["overview", "page"]);
  showRange();
  document.title = page === null ? "Visits" : `${page} · Visits`;
  if (state.status === "fulfilled") {
    const incomplete = showState(state.value);
    if (incomplete) warnings.push(incomplete);
    if (page === null) showOverview(state.value);
  }
  if (page === null && rest.status === "fulfilled") showTop(rest.value, days);
  if (page !== null && rest.status === "fulfilled") showPage(rest.value);
  if (page !== null && rest.status === "rejected") failPage(page);
  if (place.broken) warnings.push("The link names a page that cannot be read: a part of it is missing.");
  setText(byId("warning"), warnings.join(" "));
}

/** Nothing has been shown so far, and nothing came now. */
const wasEmpty = (state) => state.status === "rejected" && byId("figures").hidden;

const stale = (message) => `${message} ${byId("figures").hidden ? "" : "What is shown may be older."}`.trim();

/** A load that the owner asked for: shown as under way, and said once it is there. */
async function loadChosen(words) {
  byId("figures").setAttribute("aria-busy", "true");
  const answer = await load();
  if (answer) say(words(answer));
}

const go = (next) => {
  location.hash = format({ ...place, broken: false, ...next });
};

/** Puts the focus where reading goes on after a page was opened or left. */
function focusView(before) {
  if (place.page === before) return;
  if (place.page !== null) byId("page-title").focus();
  else (linkTo(before) ?? byId("today-title")).focus();
}

async function placeChanged() {
  const before = place.page;
  place = parse(location.hash);
  if (place.page !== before) setText(byId("done"), leaving);
  leaving = "";
  if (!signedIn) return;
  await loadChosen(() => `${place.page === null ? "The whole site" : "One page"}, ${place.days} days.`);
  focusView(before);
}

let leaving = ""; // what to show after the next change of place

/** After a change to a page: says so, and shows the new figures. */
function changed(words, { page, name }) {
  if (name === "delete" && place.page === page) {
    leaving = `${page}: ${words}`;
    go({ page: null });
    return;
  }
  setText(byId("done"), words);
  load();
}

function setUpRange() {
  byId("range").addEventListener("change", (event) => {
    if (event.target.name === "days") go({ days: Number(event.target.value) });
  });
  byId("range").addEventListener("submit", (event) => {
    event.preventDefault();
    const days = daysFrom(byId("other-days").value);
    if (days !== null) go({ days });
  });
}

function setUpRefresh() {
  const due = () => {
    const idle = document.visibilityState === "visible" && !byId("confirm").open;
    const wanted = signedIn || !byId("starting").hidden;
    if (idle && wanted && Date.now() - loadedAt >= REFRESH_MS - 500) load();
  };
  setInterval(due, REFRESH_MS);
  document.addEventListener("visibilitychange", due);
  byId("refresh").addEventListener("click", () => loadChosen(() => byId("freshness").textContent));
}

setUpRange();
setUpRefresh();
setUpChanges();
setUpPage({ changed, signedOut: () => showSignIn(`Nothing was changed. ${ENDED}`) });
setUpTop({ changed: () => loadChosen(topSaid), open: (page) => go({ page }) });
setUpSession({
  signedIn() {
    setText(byId("done"), "");
    load(NOT_KEPT).then(() => signedIn && (place.page === null ? byId("today-title") : byId("page-title")).focus());
  },
  signedOut(words, failure) {
    if (failure) setText(byId("warning"), failure);
    else showSignIn(words);
  },
  closed: showClosed,
});
addEventListener("hashchange", placeChanged);
load();
