/** Lines and dots over axes: training curves, and what a teaching example needs. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { gridY, QUIET_AXIS } from "./axes.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, plotPanel } from "./frame.ts";
import { colourOf, INK, REFERENCE } from "./theme.ts";

/** One line or cloud: values over x (0, 1, 2, … unless told). */
export interface Series {
  readonly name: string;
  readonly y: ArrayLike<number>;
  readonly x?: ArrayLike<number>;
  /** Dashed for what is a reference, not a result. */
  readonly dashed?: boolean;
  /** A half-width around each value, drawn as a band. */
  readonly band?: ArrayLike<number>;
  readonly colour?: string;
}

/** Axes of a chart. */
export interface ChartAxes {
  readonly xLabel?: string;
  readonly yLabel?: string;
  readonly xLog?: boolean;
  readonly yLog?: boolean;
  readonly height?: number;
  /** Vertical lines with a word each. */
  readonly rules?: readonly { readonly x: number; readonly label: string }[];
}

const HEIGHT = 320;
/** About how many ticks an axis has. */
const TICKS = 6;

interface Sample {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/** Finite samples only, and positive ones where an axis is logarithmic: others leave a gap (NaN), never a stray line. */
function samples(s: Series, axes: ChartAxes): Sample[] {
  if (s.x !== undefined && s.x.length !== s.y.length)
    fail("shape", `series "${s.name}" has ${s.x.length} x values and ${s.y.length} y values`);
  const fits = (v: number, log: boolean | undefined) => Number.isFinite(v) && (log !== true || v > 0);
  return Array.from(s.y, (value, i) => {
    const x = s.x?.[i] ?? i;
    const half = s.band?.[i] ?? 0;
    const y = fits(value, axes.yLog) && fits(x, axes.xLog) ? value : Number.NaN;
    return { x, y, low: axes.yLog && y - half <= 0 ? y : y - half, high: y + half };
  }).filter((p) => fits(p.x, axes.xLog));
}

function chart(
  data: FigureText & ChartAxes,
  series: readonly Series[],
  marksOf: (points: Sample[], colour: string, s: Series) => Plot.Markish[],
  keyOf: (s: Series) => LegendEntry["shape"],
): Figure {
  const drawn = series.map((s, i) => ({ s, points: samples(s, data), colour: s.colour ?? colourOf(i) }));
  if (!drawn.some((d) => d.points.some((p) => Number.isFinite(p.y))))
    fail("non-finite", `figure "${data.title}": no finite value to draw`);
  const rules = data.rules ?? [];
  const scale = (label: string | undefined, log: boolean | undefined) => ({
    label: label ?? null,
    ...QUIET_AXIS,
    ...(log ? { type: "log" as const, ticks: 5 } : { ticks: TICKS, nice: true }),
  });
  const panel = plotPanel({
    width: innerWidth(data),
    height: data.height ?? HEIGHT,
    marginTop: rules.length > 0 ? 34 : 26,
    x: {
      ...scale(data.xLabel, data.xLog),
      ...(data.xLog ? {} : wholeTicks(drawn)),
      labelAnchor: "center",
      nice: false,
      inset: 4,
    },
    y: scale(data.yLabel, data.yLog),
    marks: [
      gridY(TICKS),
      ...drawn.flatMap((d) => marksOf(d.points, d.colour, d.s)),
      Plot.ruleX(rules, { x: "x", stroke: REFERENCE, strokeDasharray: "2 3" }),
      ...rules.map((rule) =>
        Plot.text([rule], {
          x: "x",
          text: "label",
          frameAnchor: "top",
          lineAnchor: "bottom",
          // Words grow away from the nearer edge.
          textAnchor: anchorOf(rule.x, drawn),
          dy: -5,
          fontSize: 11,
          fill: INK.soft,
        }),
      ),
    ],
  });
  const legend =
    series.length < 2 && rules.length === 0
      ? []
      : drawn.map((d): LegendEntry => ({ label: d.s.name, colour: d.colour, shape: keyOf(d.s) }));
  return frame(data, [panel], { legend });
}

/** Few whole numbers, such as the epochs of a short training, are the ticks themselves: there is no epoch 1.5, nor 1.000000. */
function wholeTicks(drawn: readonly { readonly points: readonly { readonly x: number }[] }[]): object {
  const places = [...new Set(drawn.flatMap(({ points }) => points.map(({ x }) => x)))];
  return places.length <= TICKS && places.every(Number.isInteger) ? { ticks: places, tickFormat: String } : {};
}

/** Outer parts of the axis, as shares, in which a label would leave the figure if it were centred. */
const EDGE = 0.2;

/** Which end of a label sits at `x`. */
function anchorOf(
  x: number,
  drawn: readonly { readonly points: readonly { readonly x: number }[] }[],
): "start" | "middle" | "end" {
  const [low, high] = drawn
    .flatMap(({ points }) => points)
    .reduce(([a, b], p) => [Math.min(a, p.x), Math.max(b, p.x)], [x, x] as [number, number]);
  const place = high > low ? (x - low) / (high - low) : 0.5;
  return place < EDGE ? "start" : place > 1 - EDGE ? "end" : "middle";
}

/**
 * Lines over common axes, with optional bands.
 *
 * @throws `shape` when x and y differ in length; `non-finite` when there is nothing finite to draw.
 */
export function lines(data: FigureText & ChartAxes & { readonly series: readonly Series[] }): Figure {
  return chart(
    data,
    data.series,
    (points, colour, s) => [
      ...(s.band === undefined
        ? []
        : [Plot.areaY(points, { x: "x", y1: "low", y2: "high", fill: colour, fillOpacity: 0.18 })]),
      Plot.lineY(points, {
        x: "x",
        y: "y",
        stroke: colour,
        strokeWidth: 1.9,
        ...(s.dashed ? { strokeDasharray: "5 3" } : {}),
      }),
      // A single value is no line: show it as a dot.
      ...(points.filter((p) => Number.isFinite(p.y)).length === 1
        ? [Plot.dot(points, { x: "x", y: "y", r: 3, fill: colour })]
        : []),
    ],
    (s) => (s.dashed ? "dash" : "line"),
  );
}

/**
 * Dots over common axes; a dashed series is drawn as a line.
 *
 * @throws as {@link lines}.
 */
export function scatter(data: FigureText & ChartAxes & { readonly series: readonly Series[] }): Figure {
  return chart(
    data,
    data.series,
    (points, colour, s) =>
      s.dashed
        ? [Plot.lineY(points, { x: "x", y: "y", stroke: colour, strokeWidth: 1.7, strokeDasharray: "5 3" })]
        : [Plot.dot(points, { x: "x", y: "y", r: points.length > 800 ? 1.7 : 2.8, fill: colour, fillOpacity: 0.65 })],
    (s) => (s.dashed ? "dash" : "dot"),
  );
}

/** What {@link trainingCurves} takes beside the words. */
export interface TrainingCurvesData extends FigureText {
  /** One value per epoch for each curve; the first belongs to epoch 1. */
  readonly curves: readonly { readonly name: string; readonly values: ArrayLike<number>; readonly dashed?: boolean }[];
  readonly yLabel?: string;
  readonly log?: boolean;
  /** The epoch whose parameters were kept, counted from 1. */
  readonly best?: number;
}

/** Losses over epochs, with the epoch that early stopping kept. */
export function trainingCurves(data: TrainingCurvesData): Figure {
  const { curves, best, log, ...text } = data;
  return lines({
    yLabel: "loss, nats per row",
    xLabel: "epoch",
    ...text,
    ...(log === undefined ? {} : { yLog: log }),
    ...(best === undefined ? {} : { rules: [{ x: best, label: `kept: epoch ${best}` }] }),
    series: curves.map((c) => ({
      name: c.name,
      y: c.values,
      x: Array.from(c.values, (_, i) => i + 1),
      ...(c.dashed === undefined ? {} : { dashed: c.dashed }),
    })),
  });
}
