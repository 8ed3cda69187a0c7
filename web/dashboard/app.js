// The dashboard: decides what is shown, loads it, and keeps it fresh.
import { Failure, history, summary, top, whoAmI } from "./api.js";
import { setUpChanges } from "./change.js";
import { byId, say, setText, showOnly, tell } from "./dom.js";
import { isNew, setUpWelcome, showOverview, showState, showWelcome } from "./overview.js";
import { failPage, leavePage, setUpPage, showPage } from "./page.js";
import { daysFrom, format, limitDays, maxDays, parse } from "./place.js";
import { setUpSession } from "./session.js";
import { failTop, linkTo, setUpTop, showChoices, showTop, topSaid } from "./top.js";
import { counted } from "./words.js";

/** How often the figures are asked for while the page is in view: no more often than visits are flushed. */
const REFRESH_MS = 30_000;
/** While the first visit is waited for: more often, as many times at most. */
const WAITING = { every: 5_000, times: 60 };
const ENDED = "Your session has ended. Sign in again.";
/** The cookie is for HTTPS only; browsers make an exception for the machine itself. */
const NOT_KEPT = "The browser did not keep the session. Open the dashboard over HTTPS, or at localhost.";
const VIEWS = ["starting", "sign-in", "closed", "figures"];

let place = parse(location.hash);
let signedIn = false;
let loading = null; // the abort controller of the load under way
let askedAt = 0;
let waited = 0; // how often the first visit was asked for

function showView(view) {
  showOnly(view, VIEWS);
  byId("sign-out").hidden = byId("refresh").hidden = view !== "figures";
}

function showSignIn(words = "") {
  loading?.abort();
  loading = null;
  const was = !byId("sign-in").hidden;
  if (byId("confirm").open) byId("confirm").close();
  signedIn = false;
  // The next owner to sign in must not change the page that was open before.
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
  byId("back").href = format({ ...place, page: null });
}

/** What the present place needs besides the summary. */
const detail = ({ days, limit, search, page }, signal) =>
  page === null ? top(days, limit, search, signal) : history(page, days, signal);

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
  askedAt = Date.now();
  const [wanted, state, rest] = await ask(mine.signal);
  if (mine.signal.aborted) return null;
  loading = null;
  byId("figures").removeAttribute("aria-busy");
  const failures = [state, rest].filter((answer) => answer.status === "rejected").map((answer) => answer.reason);
  if (failures.some((failure) => failure.kind === "owner-token-missing")) return showClosed();
  if (failures.some((failure) => failure.status === 401)) {
    return showSignIn(refused);
  }
  signedIn ||= state.status === "fulfilled";
  show(wanted, state, rest, failures);
  return rest.status === "fulfilled" ? rest.value : null;
}

function show(wanted, { value: summary }, { value: answer, reason }, failures) {
  const { page } = wanted;
  const messages = new Set(failures.map((failure) => failure.message));
  if (!summary && byId("figures").hidden) {
    setText(byId("warning"), [...messages].join(" "));
    const off = failures[0].kind === "history-off";
    setText(byId("starting"), off ? "" : "No figures yet. They are asked for again in half a minute.");
    return;
  }
  showView("figures");
  showPart(page, summary);
  showRange();
  showChoices(wanted);
  document.title = page === null ? "Visits" : `${page} · Visits`;
  if (!answer) messages.delete(page === null ? failTop(reason) : failPage(page, reason));
  else if (page === null) showTop(answer, wanted);
  else showPage(answer);
  const warnings = [...messages].map((message) => `${message} What is shown may be older.`);
  const incomplete = summary && showState(summary);
  if (incomplete) warnings.push(incomplete);
  if (place.broken) warnings.push("The link names a page that cannot be read: a part of it is missing.");
  setText(byId("warning"), warnings.join(" "));
}

const isWaiting = () => !byId("welcome").hidden;

/** Shows one page, or the whole site: its figures, or how to have its first visit counted. */
function showPart(page, summary) {
  const waiting = isWaiting();
  const fresh = summary ? isNew(summary) : waiting;
  const part = page !== null ? "page" : fresh ? "welcome" : "overview";
  showOnly(part, ["overview", "page", "welcome"]);
  byId("range").hidden = part === "welcome";
  if (!summary || page !== null) return;
  if (fresh) return showWelcome(summary);
  showOverview(summary);
  if (waiting) say("The first visit is here.");
}

/** A load that the owner asked for: shown as under way, and said once it is there. */
async function loadChosen(words) {
  byId("figures").setAttribute("aria-busy", "true");
  const answer = await load();
  if (answer) say(words(answer));
  else if (signedIn) byId("warning").scrollIntoView({ block: "nearest" });
}

const go = (next) => {
  location.hash = format({ ...place, broken: false, ...next });
};

/** The title of what is shown. */
const title = () => document.querySelector("#figures > :not([hidden]) h2");

/** Puts the focus where reading goes on after a page was opened or left. */
function focusView(before) {
  if (place.page === before) return;
  ((place.page === null && linkTo(before)) || title())?.focus();
}

async function placeChanged() {
  const before = place.page;
  place = parse(location.hash);
  if (place.page !== before) setText(byId("done"), "");
  // While it is not known yet whether a session holds, the load under way is for the place of before.
  if (!signedIn && !loading) return;
  await loadChosen((answer) => {
    const days = counted(place.days, "day");
    return place.page === null ? `The whole site, ${days}. ${topSaid(answer, place.search)}` : `One page, ${days}.`;
  });
  focusView(before);
  if (leaving && signedIn) tell("done", leaving);
  leaving = "";
}

let leaving = ""; // what to tell after the next change of place

/** After a change to a page: says so, and shows the new figures. */
function changed(words, { page, name }) {
  if (name === "delete" && place.page === page) {
    leaving = `${page}: ${words}`;
    go({ page: null });
    return;
  }
  tell("done", words);
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
    const idle = document.visibilityState === "visible" && !byId("confirm").open && !loading;
    const wanted = signedIn || !byId("starting").hidden;
    const often = isWaiting() && waited < WAITING.times;
    if (!idle || !wanted || Date.now() - askedAt < (often ? WAITING.every : REFRESH_MS) - 500) return;
    if (often) waited += 1;
    load();
  };
  setInterval(due, WAITING.every);
  document.addEventListener("visibilitychange", due);
  byId("refresh").addEventListener("click", () => loadChosen(() => byId("freshness").textContent));
}

setUpRange();
setUpRefresh();
setUpChanges();
setUpPage({ changed, signedOut: () => showSignIn(`Nothing was changed. ${ENDED}`) });
setUpTop(go);
setUpWelcome();
setUpSession({
  signedIn() {
    setText(byId("done"), "");
    load(NOT_KEPT).then(() => signedIn && title()?.focus());
  },
  signedOut(words, failure) {
    if (failure) tell("warning", failure);
    else showSignIn(words);
  },
  closed: showClosed,
});
addEventListener("hashchange", placeChanged);
load();
