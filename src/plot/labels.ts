/** How often each class occurs, in several sets side by side. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { BAR_TICKS, baseline, CENTRED_AXIS, gridY, QUIET_AXIS } from "./axes.ts";
import {
  type Figure,
  type FigureText,
  frame,
  innerWidth,
  type LegendEntry,
  PANEL_MARGINS,
  plotPanel,
} from "./frame.ts";
import { showNumber, textWidth } from "./text.ts";
import { colourOf, INK, REFERENCE } from "./theme.ts";

/** One set of counts. */
export interface LabelSeries {
  readonly name: string;
  /** Count (or share) of each class, in the order of `classes`. */
  readonly counts: ArrayLike<number>;
  readonly colour?: string;
}

/** What {@link labelHistogram} takes beside the words. */
export interface LabelHistogramData {
  readonly classes: readonly string[];
  readonly series: readonly LabelSeries[];
  /** `shares` divides each set by its sum and draws the balanced share; `counts` shows the numbers. Shares unless told. */
  readonly show?: "shares" | "counts";
  readonly xLabel?: string;
}

const HEIGHT = 300;
/** Part of a class's room that its bars fill. */
const BAR_SHARE = 0.78;
/** Font size of a number over a bar that has room. */
const FONT = 11;
/** Font size below which a number over a bar cannot be read. */
const MIN_FONT = 8;

/** One bar: where it stands among the classes 0, 1, …, and what is written over it. */
interface Bar {
  readonly series: number;
  readonly left: number;
  readonly right: number;
  readonly middle: number;
  readonly value: number;
  readonly label: string;
}

/** The bars of all sets, side by side within each class. */
function barsOf({ classes, series }: LabelHistogramData, shares: boolean): Bar[] {
  const k = classes.length;
  return series.flatMap((s, i) => {
    if (s.counts.length !== k)
      fail("shape", `labelHistogram: "${s.name}" has ${s.counts.length} counts for ${k} classes`);
    const counts = Array.from(s.counts);
    const bad = counts.find((c) => !(Number.isFinite(c) && c >= 0));
    if (bad !== undefined) fail("argument", `labelHistogram: "${s.name}" has the count ${bad}; expected zero or more`);
    const total = counts.reduce((a, b) => a + b, 0);
    return counts.map((count, j) => {
      const value = shares ? (total === 0 ? 0 : count / total) : count;
      const label = shares ? (100 * value).toFixed(0) : showNumber(value);
      const left = j + (i / series.length - 0.5) * BAR_SHARE;
      const right = left + BAR_SHARE / series.length;
      return { series: i, left, right, middle: (left + right) / 2, value, label };
    });
  });
}

/** The numbers over the bars, as large as their room lets them; none where they would be too small to read: the axis remains. */
function barLabels(bars: readonly Bar[], room: number): Plot.Markish[] {
  const fontSize = Math.min(FONT, (FONT * room) / Math.max(...bars.map((b) => textWidth(b.label, FONT) + 2)));
  if (!(fontSize >= MIN_FONT)) return [];
  const ink = { fill: INK.text, stroke: INK.paper, strokeWidth: 3 };
  return [Plot.text(bars, { x: "middle", y: "value", text: "label", dy: -8, fontSize, ...ink })];
}

/**
 * Bars of class counts or shares, the sets side by side within each class; with shares a dashed line where balance lies, 1/k.
 *
 * @throws `shape` when a set does not have one number for each class; `argument` when a number is negative or not finite.
 */
export function labelHistogram(data: LabelHistogramData & FigureText): Figure {
  const { classes, series } = data;
  const shares = (data.show ?? "shares") === "shares";
  const k = classes.length;
  const bars = barsOf(data, shares);
  const top = Math.max(shares ? 1 / k : 0, ...bars.map((b) => b.value)) || 1;
  const width = innerWidth(data);
  const room = ((width - PANEL_MARGINS.marginLeft - PANEL_MARGINS.marginRight) / k / series.length) * BAR_SHARE;
  const panel = plotPanel({
    width,
    height: HEIGHT,
    x: {
      domain: [-0.5, k - 0.5],
      ticks: classes.map((_, j) => j),
      tickFormat: (j: number) => classes[j] as string,
      label: data.xLabel ?? "class",
      ...CENTRED_AXIS,
    },
    y: {
      domain: [0, top * 1.08],
      label: shares ? "share of the set" : "number of rows",
      ticks: BAR_TICKS,
      ...(shares ? { tickFormat: (v: number) => `${Math.round(v * 100)} %` } : {}),
      ...QUIET_AXIS,
    },
    marks: [
      gridY(BAR_TICKS),
      ...series.map((s, i) =>
        Plot.rectY(
          bars.filter((b) => b.series === i),
          { x1: "left", x2: "right", y: "value", fill: s.colour ?? colourOf(i), insetLeft: 0.8, insetRight: 0.8 },
        ),
      ),
      ...(shares ? [Plot.ruleY([1 / k], { stroke: REFERENCE, strokeWidth: 1.4, strokeDasharray: "5 3" })] : []),
      ...barLabels(bars, room),
      baseline(),
    ],
  });
  const legend: LegendEntry[] = [
    ...series.map((s, i): LegendEntry => ({ label: s.name, colour: s.colour ?? colourOf(i), shape: "square" })),
    ...(shares ? [{ label: `balance, ${showNumber(100 / k)} %`, colour: REFERENCE, shape: "dash" } as const] : []),
  ];
  return frame(data, [panel], { legend });
}
