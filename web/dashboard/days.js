// The panel of some days: legend, chart, sums, table and export. Used for the site and for one page.
import { createChart, SERIES } from "./chart.js";
import { csv, download } from "./csv.js";
import { byId, element, setText } from "./dom.js";
import { counted, date, LABELS, number, sum } from "./words.js";

const COLUMNS = ["Day", ...SERIES.map((name) => LABELS[name])];

/** Fills `host` from the template. `mark` names the moment of the first drawing, for measurements. */
export class DaysPanel {
  #days = [];
  #chart = null;
  #parts;
  #mark;
  #fileName;

  constructor(host, { mark, fileName }) {
    this.#mark = mark;
    this.#fileName = fileName;
    host.append(byId("days-template").content.cloneNode(true));
    const part = (selector) => host.querySelector(selector);
    this.#parts = {
      chart: part(".chart"),
      readout: part(".readout"),
      sums: part(".sums"),
      visitorDays: part(".visitor-days"),
      details: part("details"),
      body: part("tbody"),
    };
    part(".scroll").tabIndex = 0; // it scrolls, so the keyboard must reach it
    part("thead").append(element("tr", {}, ...COLUMNS.map(headCell)));
    part(".legend").append(...SERIES.map((name) => this.#legendEntry(name)));
    this.#parts.details.addEventListener("toggle", () => this.#fillTable());
    part(".csv").addEventListener("click", () => this.#export());
  }

  /** Shows these days. The panel must be visible by now: a chart needs a width. */
  show(days) {
    this.#days = days;
    if (this.#chart) this.#chart.update(days);
    else this.#first(days);
    this.#readout(null);
    this.#showSums();
    this.#fillTable();
  }

  #first(days) {
    const onDrawn = () => {
      if (!performance.getEntriesByName(this.#mark).length) performance.mark(this.#mark);
    };
    this.#chart = createChart(this.#parts.chart, days, { onDay: (index) => this.#readout(index), onDrawn });
  }

  #legendEntry(name) {
    const box = element("input", { type: "checkbox" });
    box.checked = true;
    box.addEventListener("change", () => this.#chart?.toggle(name, box.checked));
    const sample = element("span", { class: `sample ${name}`, "aria-hidden": "true" });
    return element("li", {}, element("label", {}, box, sample, LABELS[name]));
  }

  #readout(index) {
    const day = index === null ? null : this.#days[index];
    const words = (name) => `${LABELS[name].toLowerCase()} ${number(day[name])}`;
    const hint = "Point at a day, or tap it, for its figures. The last one is today, so far.";
    setText(this.#parts.readout, day ? `${this.#date(day)}: ${SERIES.map(words).join(", ")}` : hint);
  }

  /** Names a day; the last one is not over. */
  #date = (day) => date(day.day) + (day === this.#days.at(-1) ? ", so far" : "");

  #showSums() {
    const days = this.#days;
    const several = days.length > 1;
    const [people, visitors, bots] = SERIES.map((name) => sum(days, name));
    const parts = [
      counted(people, "visit by people", "visits by people"),
      counted(visitors, several ? "visitor-day" : "unique visitor"),
      counted(bots, "visit by bots", "visits by bots"),
    ];
    const span = several ? `In these ${days.length} days` : "Today, so far";
    setText(this.#parts.sums, `${span}: ${parts.join(", ")}.`);
    this.#parts.visitorDays.hidden = !several;
  }

  /** Newest day first. Only while it is open: 400 rows cost more than the chart. */
  #fillTable() {
    if (!this.#parts.details.open) return;
    const row = (day) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, this.#date(day)),
        ...SERIES.map((name) => element("td", { class: "number" }, number(day[name]))),
      );
    this.#parts.body.replaceChildren(...this.#days.map(row).reverse());
  }

  #export() {
    const rows = this.#days.map((day) => [day.day, ...SERIES.map((name) => day[name])]);
    download(`${this.#fileName(this.#days)}.csv`, csv(["day", ...SERIES], rows));
  }
}

const headCell = (name, index) => element("th", { scope: "col", class: index ? "number" : "" }, name);
