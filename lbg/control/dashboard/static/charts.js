// Charts, drawn by uPlot. They repeat what the numbers beside them say, for the eye alone.
/* global uPlot */
import { colour, onTheme } from "./theme.js";

const drawn = new Set();
const visible = new IntersectionObserver((entries) => {
  for (const entry of entries) charts.get(entry.target)?.look(entry.isIntersecting);
});
const resized = new ResizeObserver((entries) => {
  for (const entry of entries) charts.get(entry.target)?.resize(Math.round(entry.contentRect.width));
});
const charts = new WeakMap(); // by their elements

onTheme(() => {
  for (const chart of [...drawn]) chart.again(); // each leaves the set and comes back
});

/**
 * A chart in `place`; `lines` are [custom property of its colour, whether it is filled].
 *
 * It costs nothing while it is not on the screen.
 */
export class Chart {
  constructor(place, lines, { height, axes = false }) {
    this.place = place;
    this.lines = lines;
    this.height = height;
    this.axes = axes;
    this.width = 0;
    this.seen = false;
    this.data = null;
    this.plot = null;
    charts.set(place, this);
    visible.observe(place);
    resized.observe(place);
  }

  draw(times, ...values) {
    this.data = [times, ...values];
    this.paint();
  }

  look(seen) {
    this.seen = seen;
    this.paint();
  }

  resize(width) {
    if (width === this.width) return;
    this.width = width;
    if (this.plot !== null) this.plot.setSize({ width, height: this.height });
    else this.paint();
  }

  /** Draw with the colours of now. */
  again() {
    this.forget();
    this.paint();
  }

  /** Give everything back: the element goes away. */
  close() {
    this.forget();
    visible.unobserve(this.place);
    resized.unobserve(this.place);
  }

  forget() {
    this.plot?.destroy();
    this.plot = null;
    drawn.delete(this);
  }

  paint() {
    if (!this.seen || this.width === 0 || this.data === null) return;
    if (this.plot !== null) {
      this.plot.setData(this.data);
      return;
    }
    this.plot = new uPlot(this.options(), this.data, this.place);
    drawn.add(this);
  }

  options() {
    return {
      width: this.width,
      height: this.height,
      padding: this.axes ? [6, 18, 0, 0] : [2, 0, 1, 0],
      cursor: { show: false },
      legend: { show: false },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] } },
      axes: [this.axis({ space: 70, size: 24, values: times }), this.axis({ space: 26, size: 44 })],
      series: [{}, ...this.lines.map(([property, filled]) => line(colour(property), filled))],
    };
  }

  axis(more) {
    if (!this.axes) return { show: false };
    const grid = { stroke: colour("--line"), width: 1 };
    return { stroke: colour("--muted"), font: "11px system-ui, sans-serif", grid, ticks: { show: false }, ...more };
  }
}

function line(stroke, filled) {
  const fill = filled ? stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)") : undefined;
  return { stroke, fill, width: 1.5, points: { show: false }, spanGaps: false };
}

function times(_, splits) {
  const pad = (number) => String(number).padStart(2, "0");
  return splits.map((moment) => {
    const date = new Date(moment * 1000);
    const seconds = splits.length > 1 && splits[1] - splits[0] < 60 ? `:${pad(date.getSeconds())}` : "";
    return `${pad(date.getHours())}:${pad(date.getMinutes())}${seconds}`;
  });
}
