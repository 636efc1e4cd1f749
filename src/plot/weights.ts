/** Importance weights as pictures, and histograms of samples: how far a sample can be trusted. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, plotPanel } from "./frame.ts";
import { showNumber, showShare } from "./text.ts";
import { colourOf, INK, REFERENCE, SPACE } from "./theme.ts";

/** Points of the cumulative curve: enough for a smooth line. */
const CURVE_POINTS = 240;
const HEIGHT = 270;
const BINS = 40;

/** Weights below this share of the even weight 1/n share the lowest bar: they count for nothing. */
const FLOOR = 1e-4;

/**
 * Normalised importance weights in two panels: a histogram of n·w (an even weight is 1), and the share of all weight that the
 * heaviest draws hold, against the straight line of even weights. The effective sample size (Σw)²/Σw² is written in the panel.
 *
 * @param data.weights - Weights, normalised or not, none negative.
 * @throws `argument` when a weight is negative or not finite, or all are zero.
 */
export function weightHistogram(data: FigureText & { readonly weights: ArrayLike<number> }): Figure {
  const w = Float64Array.from(data.weights);
  const bad = w.findIndex((v) => !(Number.isFinite(v) && v >= 0));
  if (bad >= 0) fail("argument", `weightHistogram: weight ${bad} is ${w[bad]}; expected zero or more`);
  const total = w.reduce((a, b) => a + b, 0);
  if (!(total > 0)) fail("argument", "weightHistogram: expected at least one positive weight");
  const n = w.length;
  const relative = w
    .map((v) => (v * n) / total)
    .sort()
    .reverse();
  const essShare = n / relative.reduce((sum, v) => sum + v * v, 0);
  let sum = 0;
  const cumulative = relative.map((v) => (sum += v) / n);
  const curve = [
    { x: 0, y: 0 },
    ...Array.from({ length: Math.min(n, CURVE_POINTS) }, (_, i) => {
      const rank = Math.ceil(((i + 1) * n) / Math.min(n, CURVE_POINTS));
      return { x: rank / n, y: cumulative[rank - 1] as number };
    }),
  ];
  const width = (innerWidth(data) - SPACE.gap) / 2;
  const percent = (v: number) => `${Math.round(100 * v)} %`;
  const logs = Array.from(relative, (v) => Math.log10(Math.max(FLOOR, v)));
  const histogramPanel = plotPanel(
    {
      width,
      height: HEIGHT,
      x: {
        label: "n·w (an even weight is 1)",
        labelAnchor: "center",
        labelArrow: "none",
        tickSize: 0,
        ticks: weightTicks(logs),
        tickFormat: (v: number) => showNumber(10 ** v, 1),
      },
      y: { label: "draws", labelArrow: "none", tickSize: 0, ticks: 5 },
      marks: [
        Plot.gridY({ ticks: 5, stroke: INK.grid, strokeOpacity: 1 }),
        Plot.rectY(binned(logs, BINS, 0.05), {
          x1: "x1",
          x2: "x2",
          y: "count",
          fill: colourOf(0),
          insetLeft: 0.4,
          insetRight: 0.4,
        }),
        Plot.ruleX([0], { stroke: REFERENCE, strokeWidth: 1.4, strokeDasharray: "5 3" }),
        Plot.ruleY([0], { stroke: INK.axis }),
      ],
    },
    "How the weights spread",
  );
  const notes = [`ESS/n = ${showNumber(essShare)}`, `largest weight ${showShare((relative[0] as number) / n)}`];
  const curvePanel = plotPanel(
    {
      width,
      height: HEIGHT,
      x: {
        label: "share of draws, heaviest first",
        labelAnchor: "center",
        labelArrow: "none",
        tickSize: 0,
        ticks: 5,
        domain: [0, 1],
        tickFormat: percent,
      },
      y: {
        label: "share of the weight",
        labelArrow: "none",
        tickSize: 0,
        ticks: 5,
        domain: [0, 1],
        tickFormat: percent,
      },
      marks: [
        Plot.gridY({ ticks: 5, stroke: INK.grid, strokeOpacity: 1 }),
        Plot.line(
          [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
          { x: "x", y: "y", stroke: REFERENCE, strokeWidth: 1.4, strokeDasharray: "5 3" },
        ),
        Plot.lineY(curve, { x: "x", y: "y", stroke: colourOf(1), strokeWidth: 2.2 }),
        Plot.text([notes.join("\n")], {
          frameAnchor: "bottom-right",
          dx: -10,
          dy: -12,
          textAnchor: "end",
          fontSize: 13,
          lineHeight: 1.4,
          fill: INK.text,
          stroke: INK.paper,
          strokeWidth: 8,
        }),
        Plot.ruleY([0], { stroke: INK.axis }),
      ],
    },
    "How few draws carry them",
  );
  const legend: LegendEntry[] = [
    { label: "weights", colour: colourOf(0), shape: "square" },
    { label: "cumulative share", colour: colourOf(1), shape: "line" },
    { label: "even weights", colour: REFERENCE, shape: "dash" },
  ];
  return frame(data, [histogramPanel, curvePanel], { legend });
}

/** Ticks of the decades that the logarithms span, with a 3 between them when there are few. */
function weightTicks(logs: readonly number[]): number[] {
  const low = logs.reduce((a, b) => Math.min(a, b));
  const high = logs.reduce((a, b) => Math.max(a, b));
  const inside = (v: number) => v >= low - 1e-9 && v <= high + 1e-9;
  const decades = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const all = high - low < 3 ? decades.flatMap((d) => [d, d + Math.log10(3)]) : decades;
  const ticks = all.filter(inside);
  return ticks.length > 0 ? ticks : [low];
}

interface Bin {
  readonly x1: number;
  readonly x2: number;
  readonly count: number;
}

/** Equal bins over the range of the values; a range narrower than `least` is widened around its middle. */
function binned(values: readonly number[], bins: number, least = 0): Bin[] {
  let low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  let high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (high - low <= least) {
    const half = least / 2 || Math.abs(low) * 0.05 || 0.5;
    [low, high] = [(low + high) / 2 - half, (low + high) / 2 + half];
  }
  const step = (high - low) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const v of values) {
    const i = Math.min(bins - 1, Math.max(0, Math.floor((v - low) / step)));
    counts[i] = (counts[i] as number) + 1;
  }
  return counts.map((count, i) => ({ x1: low + i * step, x2: low + (i + 1) * step, count }));
}

/** What {@link histogram} takes beside the words. */
export interface HistogramData extends FigureText {
  readonly values: ArrayLike<number>;
  readonly bins?: number;
  readonly xLabel?: string;
  /** A density to compare with, as a function of the value. */
  readonly density?: { readonly name: string; readonly at: (x: number) => number };
}

/**
 * A histogram of samples on the density scale, with a curve of the density they should follow.
 *
 * @throws `argument` when no value is finite.
 */
export function histogram(data: HistogramData): Figure {
  const values = Array.from(data.values).filter(Number.isFinite);
  if (values.length === 0) fail("argument", `histogram "${data.title}": no finite value to draw`);
  const bins = binned(values, data.bins ?? BINS).map((b) => ({
    ...b,
    density: b.count / values.length / (b.x2 - b.x1),
  }));
  const [low, high] = [(bins[0] as Bin).x1, (bins.at(-1) as Bin).x2];
  const { density } = data;
  const curve =
    density === undefined
      ? []
      : Array.from({ length: 201 }, (_, i) => low + ((high - low) * i) / 200).map((x) => ({ x, y: density.at(x) }));
  const panel = plotPanel({
    width: innerWidth(data),
    height: 300,
    x: { label: data.xLabel ?? null, labelAnchor: "center", labelArrow: "none", tickSize: 0, ticks: 7 },
    y: { label: "density", labelArrow: "none", tickSize: 0, ticks: 5 },
    marks: [
      Plot.gridY({ ticks: 5, stroke: INK.grid, strokeOpacity: 1 }),
      Plot.rectY(bins, {
        x1: "x1",
        x2: "x2",
        y: "density",
        fill: colourOf(0),
        fillOpacity: 0.55,
        insetLeft: 0.4,
        insetRight: 0.4,
      }),
      Plot.lineY(curve, { x: "x", y: "y", stroke: colourOf(1), strokeWidth: 2.2 }),
      Plot.ruleY([0], { stroke: INK.axis }),
    ],
  });
  const legend: LegendEntry[] =
    density === undefined
      ? []
      : [
          { label: `${showNumber(values.length)} samples`, colour: colourOf(0), shape: "square" },
          { label: density.name, colour: colourOf(1), shape: "line" },
        ];
  return frame(data, [panel], { legend });
}
