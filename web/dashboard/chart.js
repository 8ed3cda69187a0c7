// A line chart of days, the present day last. The series differ by dash and marker as well as by colour.
import uPlot from "uplot";
import { counted, date, LABELS, number, shortDate, shortNumber, sum } from "./words.js";

/** How each series is drawn; the legend's samples in chart.css show the same. */
const LOOKS = {
  people: { width: 2.25, dash: [], fill: "--people-area" },
  visitors: { width: 2, dash: [7, 4] },
  bots: { width: 2, dash: [2, 3], marker: true },
};
export const SERIES = Object.keys(LOOKS);
/** Above this many days markers would run into each other. */
const MOST_MARKERS = 45;

/** The present day is not over: its part of a line has gaps wider than those of any series. */
const SO_FAR = [2, 8];
/** Room for one date under the chart, in px: without and with its year. */
const ROOM = { short: 70, long: 105 };
/** From as many days on a date needs its year. */
const YEAR_SHOWN = 180;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Returns uPlot's options of a series, of its finished days or of the line to the present one. */
function series(name, soFar) {
  const { width, dash, fill, marker } = LOOKS[name];
  const stroke = () => colour(`--${name}`);
  return {
    label: LABELS[name],
    stroke,
    width,
    dash: soFar ? SO_FAR : dash,
    fill: fill ? () => colour(fill) : undefined,
    points: {
      // The present day has its point whatever the series: a single day is no line.
      show: (chart) => soFar || (marker && chart.data[0].length <= MOST_MARKERS),
      filter: soFar ? (chart) => [chart.data[0].length - 1] : undefined,
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

const room = (days) => (days.length < YEAR_SHOWN ? ROOM.short : ROOM.long);

/** Returns the indices of the days that are named under the chart: evenly apart, the present day among them. */
function named(days, width) {
  const step = Math.max(1, Math.ceil((days.length * room(days)) / width));
  return [...days.keys()].filter((index) => (days.length - 1 - index) % step === 0);
}

const axes = (shown) => [
  {
    ...axisLook,
    grid: { show: false },
    size: 32,
    splits: (chart) => named(shown(), chart.bbox.width / uPlot.pxRatio),
    values: (_, splits) => splits.map((index) => (shown().length < YEAR_SHOWN ? shortDate : date)(shown()[index].day)),
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
  const parts = SERIES.map((name) => [name, sum(days, name)]).filter(([, total]) => total !== null);
  const words = parts.map(([name, total]) => {
    const most = days.reduce((best, day) => ((day[name] ?? -1) > (best[name] ?? -1) ? day : best));
    return `${LABELS[name].toLowerCase()}: ${number(total)} in all, most on ${date(most.day)} with ${number(most[name])}`;
  });
  const first = date(days[0].day);
  return `Line chart of ${counted(days.length, "day")}, ${first} to ${date(days.at(-1).day)}. ${words.join("; ")}.`;
}

/** Returns the days as uPlot takes them: each series twice, up to yesterday, and from there to the present day. */
function columns(days) {
  const last = days.length - 1;
  const part = (holds) => SERIES.map((name) => days.map((day, index) => (holds(index) ? (day[name] ?? null) : null)));
  return [[...days.keys()], ...part((index) => index < last), ...part((index) => index >= last - 1)];
}

function options(host, shown, onDay, onDrawn) {
  return {
    width: host.clientWidth,
    height: host.clientHeight,
    // To the right half a date, which stands in the middle under its day.
    padding: [12, () => room(shown()) / 2, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 9 } },
    scales: {
      // Half a day of room at either end, so that the first and the last day are not cut.
      x: { time: false, range: () => [-0.5, shown().length - 0.5] },
      y: { range: { min: { hard: 0, soft: 0, mode: 1 }, max: { pad: 0.1, soft: 4, mode: 1 } } },
    },
    series: [{}, ...[false, true].flatMap((soFar) => SERIES.map((name) => series(name, soFar)))],
    axes: axes(shown),
    hooks: { setCursor: [(chart) => onDay(chart.cursor.idx ?? null)], draw: [onDrawn] },
  };
}

/**
 * Puts a chart into `host`, which must be visible and have a height.
 * `onDay` is told the index of the day under the pointer, or null; `onDrawn` is called after each drawing.
 */
export function createChart(host, days, { onDay, onDrawn }) {
  let shown = days;
  const chart = new uPlot(
    options(host, () => shown, onDay, onDrawn),
    columns(days),
    host,
  );
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
      shown = next;
      chart.setData(columns(next));
      canvas.setAttribute("aria-label", describe(next));
    },
    toggle(name, show) {
      for (const at of [1, 1 + SERIES.length]) chart.setSeries(SERIES.indexOf(name) + at, { show });
    },
  };
}
