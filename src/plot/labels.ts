/** How often each class occurs, in several sets side by side. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, plotPanel } from "./frame.ts";
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
/** Font size below which a number over a bar cannot be read. */
const MIN_FONT = 8;

/**
 * Bars of class counts or shares, the sets side by side within each class; with shares a dashed line where balance lies, 1/k.
 *
 * @throws `shape` when a set does not have one number for each class; `argument` when a number is negative or not finite.
 */
export function labelHistogram(data: LabelHistogramData & FigureText): Figure {
  const shares = (data.show ?? "shares") === "shares";
  const k = data.classes.length;
  const bars = data.series.flatMap((s, i) => {
    if (s.counts.length !== k)
      fail("shape", `labelHistogram: "${s.name}" has ${s.counts.length} counts for ${k} classes`);
    const counts = Array.from(s.counts);
    const bad = counts.find((c) => !(Number.isFinite(c) && c >= 0));
    if (bad !== undefined) fail("argument", `labelHistogram: "${s.name}" has the count ${bad}; expected zero or more`);
    const total = counts.reduce((a, b) => a + b, 0);
    return counts.map((count, j) => {
      const value = shares ? (total === 0 ? 0 : count / total) : count;
      const label = shares ? (100 * value).toFixed(0) : showNumber(value);
      const left = j + (i / data.series.length - 0.5) * BAR_SHARE;
      const right = left + BAR_SHARE / data.series.length;
      return { series: i, left, right, middle: (left + right) / 2, value, label };
    });
  });
  const top = Math.max(shares ? 1 / k : 0, ...bars.map((b) => b.value)) || 1;
  const width = innerWidth(data);
  const slot = ((width - 68) / k / data.series.length) * BAR_SHARE;
  const fontSize = Math.min(11, (11 * slot) / Math.max(...bars.map((b) => textWidth(b.label, 11) + 2)));
  const panel = plotPanel({
    width,
    height: HEIGHT,
    x: {
      domain: [-0.5, k - 0.5],
      ticks: data.classes.map((_, j) => j),
      tickFormat: (j: number) => data.classes[j] as string,
      tickSize: 0,
      label: data.xLabel ?? "class",
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: {
      domain: [0, top * 1.08],
      label: shares ? "share of the set" : "number of rows",
      labelArrow: "none",
      tickSize: 0,
      ticks: 5,
      ...(shares ? { tickFormat: (v: number) => `${Math.round(v * 100)} %` } : {}),
    },
    marks: [
      Plot.gridY({ ticks: 5, stroke: INK.grid, strokeOpacity: 1 }),
      ...data.series.map((s, i) =>
        Plot.rectY(
          bars.filter((b) => b.series === i),
          { x1: "left", x2: "right", y: "value", fill: s.colour ?? colourOf(i), insetLeft: 0.8, insetRight: 0.8 },
        ),
      ),
      ...(shares ? [Plot.ruleY([1 / k], { stroke: REFERENCE, strokeWidth: 1.4, strokeDasharray: "5 3" })] : []),
      // Numbers too small to read are left out; the axis remains.
      ...(fontSize >= MIN_FONT
        ? [
            Plot.text(bars, {
              x: "middle",
              y: "value",
              text: "label",
              dy: -8,
              fontSize,
              fill: INK.text,
              stroke: INK.paper,
              strokeWidth: 3,
            }),
          ]
        : []),
      Plot.ruleY([0], { stroke: INK.axis }),
    ],
  });
  const legend: LegendEntry[] = [
    ...data.series.map((s, i): LegendEntry => ({ label: s.name, colour: s.colour ?? colourOf(i), shape: "square" })),
    ...(shares ? [{ label: `balance, ${showNumber(100 / k)} %`, colour: REFERENCE, shape: "dash" } as const] : []),
  ];
  return frame(data, [panel], { legend });
}
