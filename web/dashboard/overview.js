// The whole site: today, all time, the chosen days, what was refused, and the health of the shards.
import { BASE } from "./api.js";
import { DaysPanel } from "./days.js";
import { byId, element, fillList, say, setText } from "./dom.js";
import { counted, date, freshness, LABELS, milliseconds, number } from "./words.js";

const REFUSED = [
  ["origin", "From a site that is not on the list"],
  ["page", "A page outside the allowed pattern"],
  ["new_page", "A new page above the day’s limit"],
  ["repeat", "The same visitor again too soon"],
];
const STATES = { ok: "Answers", down: "No answer" };

let panel;

const isDown = ({ status }) => status !== "ok";
/** What to do about a shard that is down. */
const REMEDY = "Check that its Redis server runs and that the functions can reach it.";

/** Returns a summary whose figures are unknown instead of zero if no shard could be asked for them. */
function known(summary) {
  if (!summary.shards.every(isDown)) return summary;
  const blank = ({ day }) => ({ day });
  return { ...summary, today: blank(summary.today), total: {}, refused: {}, days: summary.days.map(blank) };
}

/** Shows a summary. The overview must be visible. */
export function showOverview(summary) {
  const { today, total, days, refused, shards } = known(summary);
  setText(byId("today-day"), `${date(today.day)} in UTC, so far`);
  fillList(byId("today"), [
    [LABELS.people, number(today.people)],
    [LABELS.visitors, number(today.visitors)],
    [LABELS.bots, number(today.bots)],
  ]);
  fillList(byId("total"), [
    ["All visits", number(total.visits)],
    [LABELS.people, number(total.people)],
    [LABELS.bots, number(total.bots)],
  ]);
  const fileName = (shown) => `visits-days-${shown[0].day}-to-${shown.at(-1).day}`;
  panel ??= new DaysPanel(byId("site-days"), { mark: "first-chart", fileName });
  panel.show(days);
  fillList(
    byId("refused"),
    REFUSED.map(([name, words]) => [words, number(refused[name])]),
  );
  showHealth(shards);
}

/** Whether no visit was ever counted, of which all shards are sure. */
export const isNew = ({ total, complete }) => complete && total.visits === 0;

/** Shows which visits were refused while the first one is waited for. */
export function showWelcome({ refused }) {
  const met = REFUSED.filter(([name]) => refused[name] > 0);
  byId("welcome-refused").hidden = met.length === 0;
  fillList(
    byId("welcome-refusals"),
    met.map(([name, words]) => [words, number(refused[name])]),
  );
}

/** Writes the line that has pages counted, and wires the button that copies it. */
export function setUpWelcome() {
  // A function URL knows nothing of the other functions' addresses; an API has all of them at one.
  const apart = /\.lambda-url\./.test(location.hostname);
  const line = `<script defer src="${location.origin}${BASE}/counter.js"></script>`;
  setText(byId("snippet"), apart ? "The stack’s output “ScriptLine” is the line." : line);
  byId("copy").hidden = apart;
  byId("copy").addEventListener("click", async () => {
    const copied = navigator.clipboard?.writeText(byId("snippet").textContent) ?? Promise.reject();
    try {
      await copied;
      say("Copied.");
      setText(byId("copy"), "Copied");
    } catch {
      // Browsers offer no clipboard over plain HTTP: what is selected is copied by hand.
      getSelection().selectAllChildren(byId("snippet"));
    }
  });
}

/** Freshness and completeness: what holds for every view. */
export function showState(summary) {
  setText(byId("freshness"), freshness(summary));
  return summary.complete ? "" : incomplete(summary.shards);
}

function incomplete(shards) {
  const down = shards.filter(isDown).map(({ name }) => name);
  const figures = down.length === shards.length ? "No figures can be read" : "Some figures are too low";
  const who = `${down.join(", ")} ${down.length === 1 ? "does" : "do"} not answer`;
  return `${figures}: ${who}. ${REMEDY} They will be right again once all shards answer.`;
}

function showHealth(shards) {
  const down = shards.filter(isDown).length;
  const all = shards.length === 1 ? "The shard answers." : `All ${shards.length} shards answer.`;
  const some = `${down} of ${counted(shards.length, "shard")} ${down === 1 ? "does" : "do"} not answer. ${REMEDY}`;
  setText(byId("health-words"), down ? some : all);
  const row = ({ name, status, latency_ms: latency }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, element("bdi", {}, name)),
      element("td", { class: status === "ok" ? "ok" : "down" }, STATES[status] ?? status),
      element("td", { class: "number" }, milliseconds(latency)),
    );
  byId("health").replaceChildren(...shards.map(row));
}
