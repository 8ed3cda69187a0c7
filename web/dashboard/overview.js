// The whole site: today, all time, the chosen days, what was refused, and the health of the shards.
import { DaysPanel } from "./days.js";
import { byId, element, fillList, setText } from "./dom.js";
import { date, freshness, LABELS, milliseconds, number } from "./words.js";

const REFUSED = [
  ["origin", "From a site that is not on the list"],
  ["page", "A page outside the allowed pattern"],
  ["new_page", "A new page above the day’s limit"],
  ["repeat", "The same visitor again too soon"],
];
const STATES = { ok: "Answers", down: "No answer" };

let panel;

const span = (days) => (days.length ? `-${days[0].day}-to-${days.at(-1).day}` : "");

/** Shows a summary. The overview must be visible. */
export function showOverview(summary) {
  const { today, total, days } = summary;
  setText(byId("today-day"), `${date(today.day)}, so far`);
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
  panel ??= new DaysPanel(byId("site-days"), { mark: "first-chart", fileName: (shown) => `visits-days${span(shown)}` });
  panel.show(days);
  const refused = summary.refused ?? {};
  fillList(
    byId("refused"),
    REFUSED.map(([name, words]) => [words, number(refused[name])]),
  );
  showHealth(summary.shards ?? []);
}

/** Freshness and completeness: what holds for every view. */
export function showState(summary) {
  setText(byId("freshness"), freshness(summary));
  return summary.complete === false ? incomplete(summary.shards ?? []) : "";
}

function incomplete(shards) {
  const down = shards.filter((shard) => shard.status !== "ok").map((shard) => shard.name);
  const who = down.length
    ? `${down.join(", ")} ${down.length === 1 ? "does" : "do"} not answer`
    : "a part did not answer";
  return `Some figures are too low: ${who}. They will be right again once all shards answer.`;
}

function showHealth(shards) {
  const down = shards.filter((shard) => shard.status !== "ok").length;
  const all = shards.length === 1 ? "The shard answers." : `All ${shards.length} shards answer.`;
  setText(
    byId("health-words"),
    down ? `${down} of ${shards.length} shards ${down === 1 ? "does" : "do"} not answer.` : all,
  );
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
