// A line chart of days. The series differ by dash and marker as well as by colour.
import uPlot from "uplot";
import { date, dayStart, LABELS, month, number, shortDate, shortNumber, sum } from "./words.js";

const DAY = 86_400;
const MONTH = 30 * DAY; // uPlot takes 30 days and more for whole months
/** How each series is drawn; the legend's samples in app.css show the same. */
const LOOKS = {
  people: { width: 2.25, dash: [], fill: "--people-area" },
  visitors: { width: 2, dash: [7, 4] },
  bots: { width: 2, dash: [2, 3], marker: true },
};
export const SERIES = Object.keys(LOOKS);
/** Above this many days markers would run into each other. */
const MOST_MARKERS = 45;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function series(name) {
  const { width, dash, fill, marker } = LOOKS[name];
  const stroke = () => colour(`--${name}`);
  return {
    label: LABELS[name],
    stroke,
    width,
    dash,
    fill: fill ? () => colour(fill) : undefined,
    points: {
      // A single day is no line: it needs a point whatever the series.
      show: (chart) => chart.data[0].length === 1 || (marker && chart.data[0].length <= MOST_MARKERS),
      size: 7,
      stroke,
      fill: stroke,
    },
  };
}

const axisLook = {
  stroke: () => colour("--muted"),
  font: "12px system-ui, sans-serif",
  ticks: { show: false },
};

const axes = () => [
  {
    ...axisLook,
    grid: { show: false },
    size: 32,
    space: 70,
    incrs: [1, 2, 5, 10, 15, 30, 60, 90, 120, 180, 365].map((days) => days * DAY),
    values: (_, splits, __, ___, step) => splits.map((at) => (step >= MONTH ? month(at) : shortDate(at))),
  },
  {
    ...axisLook,
    size: 48,
    grid: { stroke: () => colour("--line"), width: 1 },
    incrs: Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat(),
    values: (_, splits) => splits.map(shortNumber),
  },
];

/** The chart in a sentence, for those who do not see it. */
export function describe(days) {
  if (!days.length) return "Chart without days.";
  const parts = SERIES.map((name) => [name, sum(days, name)]).filter(([, total]) => total !== null);
  const words = parts.map(([name, total]) => {
    const most = days.reduce((best, day) => ((day[name] ?? -1) > (best[name] ?? -1) ? day : best));
    return `${LABELS[name].toLowerCase()}: ${number(total)} in all, most on ${date(most.day)} with ${number(most[name])}`;
  });
  const first = date(days[0].day);
  return `Line chart of ${days.length} days, ${first} to ${date(days.at(-1).day)}. ${words.join("; ")}.`;
}

const columns = (days) => [
  days.map((day) => dayStart(day.day)),
  ...SERIES.map((name) => days.map((day) => day[name] ?? null)),
];

// Half a day of room at either end, so that the first and the last day are not cut.
const xRange = (_, from, to) => (from === to ? [from - DAY, to + DAY] : [from, to]);

function options(host, onDay, onDrawn) {
  return {
    width: host.clientWidth,
    height: host.clientHeight,
    padding: [12, 12, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 9 } },
    scales: {
      x: { time: true, range: xRange },
      y: { range: { min: { hard: 0, soft: 0, mode: 1 }, max: { pad: 0.1, soft: 4, mode: 1 } } },
    },
    series: [{}, ...SERIES.map(series)],
    axes: axes(),
    hooks: { setCursor: [(chart) => onDay(chart.cursor.idx ?? null)], draw: [onDrawn] },
  };
}

/**
 * Puts a chart into `host`, which must be visible and have a height.
 * `onDay` is told the index of the day under the pointer, or null; `onDrawn` is called after each drawing.
 */
export function createChart(host, days, { onDay, onDrawn }) {
  const chart = new uPlot(options(host, onDay, onDrawn), columns(days), host);
  const { canvas } = chart.ctx;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", describe(days));
  const resize = () => {
    if (host.clientWidth) chart.setSize({ width: host.clientWidth, height: host.clientHeight });
  };
  new ResizeObserver(resize).observe(host);
  // Colours are read at each drawing: drawn again, the chart follows the scheme.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());
  return {
    update(next) {
      chart.setData(columns(next));
      canvas.setAttribute("aria-label", describe(next));
    },
    toggle: (name, show) => chart.setSeries(SERIES.indexOf(name) + 1, { show }),
  };
}
