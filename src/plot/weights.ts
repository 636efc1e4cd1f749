/** Importance weights as pictures: how far a weighted sample can be trusted. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { BAR_TICKS, baseline, CENTRED_AXIS, gridY, QUIET_AXIS } from "./axes.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, type Panel, plotPanel } from "./frame.ts";
import { BINS, bars, binned } from "./histogram.ts";
import { showNumber, showShare } from "./text.ts";
import { colourOf, INK, REFERENCE, SPACE } from "./theme.ts";

/** Points of the cumulative curve: enough for a smooth line. */
const CURVE_POINTS = 240;
const HEIGHT = 270;
/** Least width of the histogram, in decades: even weights are one bar. */
const LEAST_DECADES = 0.05;

/** Weights below this share of the even weight 1/n share the lowest bar: they count for nothing. */
const FLOOR = 1e-4;

/** The line of even weights. */
const EVEN_LINE = { stroke: REFERENCE, strokeWidth: 1.4, strokeDasharray: "5 3" } as const;

/**
 * Normalised importance weights in two panels: a histogram of n·w (an even weight is 1), and the share of all weight that the
 * heaviest draws hold, against the straight line of even weights. The effective sample size (Σw)²/Σw² is written in the panel.
 *
 * @param data.weights - Weights, normalised or not, none negative.
 * @throws `argument` when a weight is negative or not finite, or all are zero.
 */
export function weightHistogram(data: FigureText & { readonly weights: ArrayLike<number> }): Figure {
  const relative = relativeWeights(data.weights);
  const width = (innerWidth(data) - SPACE.gap) / 2;
  const legend: LegendEntry[] = [
    { label: "weights", colour: colourOf(0), shape: "square" },
    { label: "cumulative share", colour: colourOf(1), shape: "line" },
    { label: "even weights", colour: REFERENCE, shape: "dash" },
  ];
  return frame(data, [spreadPanel(relative, width), sharePanel(relative, width)], { legend });
}

/** n·w, the largest first. */
function relativeWeights(weights: ArrayLike<number>): Float64Array {
  const w = Float64Array.from(weights);
  const bad = w.findIndex((v) => !(Number.isFinite(v) && v >= 0));
  if (bad >= 0) fail("argument", `weightHistogram: weight ${bad} is ${w[bad]}; expected zero or more`);
  const total = w.reduce((a, b) => a + b, 0);
  if (!(total > 0)) fail("argument", "weightHistogram: expected at least one positive weight");
  return w
    .map((v) => (v * w.length) / total)
    .sort()
    .reverse();
}

/** The histogram of n·w on a logarithmic axis. */
function spreadPanel(relative: Float64Array, width: number): Panel {
  const logs = Array.from(relative, (v) => Math.log10(Math.max(FLOOR, v)));
  return plotPanel(
    {
      width,
      height: HEIGHT,
      x: {
        label: "n·w (an even weight is 1)",
        ticks: weightTicks(logs),
        tickFormat: (v: number) => showNumber(10 ** v, 1),
        ...CENTRED_AXIS,
      },
      y: { label: "draws", ticks: BAR_TICKS, ...QUIET_AXIS },
      marks: [
        gridY(BAR_TICKS),
        bars(binned(logs, BINS, LEAST_DECADES), "count"),
        Plot.ruleX([0], EVEN_LINE),
        baseline(),
      ],
    },
    "How the weights spread",
  );
}

/** The share of all weight that the heaviest draws hold, from 0 to all of them. */
function cumulativeShares(relative: Float64Array): { readonly x: number; readonly y: number }[] {
  const n = relative.length;
  let sum = 0;
  const cumulative = relative.map((v) => (sum += v) / n);
  const points = Math.min(n, CURVE_POINTS);
  const curve = Array.from({ length: points }, (_, i) => {
    const rank = Math.ceil(((i + 1) * n) / points);
    return { x: rank / n, y: cumulative[rank - 1] as number };
  });
  return [{ x: 0, y: 0 }, ...curve];
}

/** The curve of {@link cumulativeShares}, with the effective sample size and the largest weight in words. */
function sharePanel(relative: Float64Array, width: number): Panel {
  const n = relative.length;
  const essShare = n / relative.reduce((sum, v) => sum + v * v, 0);
  const notes = [`ESS/n = ${showNumber(essShare)}`, `largest weight ${showShare((relative[0] as number) / n)}`];
  const share = { ticks: 5, domain: [0, 1], tickFormat: (v: number) => `${Math.round(100 * v)} %` };
  const even = [
    { x: 0, y: 0 },
    { x: 1, y: 1 },
  ];
  return plotPanel(
    {
      width,
      height: HEIGHT,
      x: { label: "share of draws, heaviest first", ...share, ...CENTRED_AXIS },
      y: { label: "share of the weight", ...share, ...QUIET_AXIS },
      marks: [
        gridY(BAR_TICKS),
        Plot.line(even, { x: "x", y: "y", ...EVEN_LINE }),
        Plot.lineY(cumulativeShares(relative), { x: "x", y: "y", stroke: colourOf(1), strokeWidth: 2.2 }),
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
        baseline(),
      ],
    },
    "How few draws carry them",
  );
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
