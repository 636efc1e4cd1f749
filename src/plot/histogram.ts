/** Histograms of samples: how they spread, and whether they follow the density they should. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { BAR_TICKS, baseline, CENTRED_AXIS, gridY, QUIET_AXIS } from "./axes.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, plotPanel } from "./frame.ts";
import { showNumber } from "./text.ts";
import { colourOf } from "./theme.ts";

/** Bins unless told. */
export const BINS = 40;
const HEIGHT = 300;
/** Values at which the density is drawn: enough for a smooth line. */
const CURVE_POINTS = 201;

/** An interval and how many values lie in it. */
export interface Bin {
  readonly x1: number;
  readonly x2: number;
  readonly count: number;
}

/** Equal bins over the range of the values; a range narrower than `least` is widened around its middle. */
export function binned(values: readonly number[], bins: number, least = 0): Bin[] {
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

/** Bars over bins, with a thin gap between them. */
export const bars = (bins: readonly Bin[], y: string, fillOpacity = 1): Plot.Markish =>
  Plot.rectY(bins, { x1: "x1", x2: "x2", y, fill: colourOf(0), fillOpacity, insetLeft: 0.4, insetRight: 0.4 });

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
  const curve = Array.from({ length: density === undefined ? 0 : CURVE_POINTS }, (_, i) => {
    const x = low + ((high - low) * i) / (CURVE_POINTS - 1);
    return { x, y: density?.at(x) };
  });
  const panel = plotPanel({
    width: innerWidth(data),
    height: HEIGHT,
    x: { label: data.xLabel ?? null, ticks: 7, ...CENTRED_AXIS },
    y: { label: "density", ticks: BAR_TICKS, ...QUIET_AXIS },
    marks: [
      gridY(BAR_TICKS),
      bars(bins, "density", 0.55),
      Plot.lineY(curve, { x: "x", y: "y", stroke: colourOf(1), strokeWidth: 2.2 }),
      baseline(),
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
