/** Functions on the plane as filled contours: the log density of a tilt, −E(z) + log p(z), with points or paths over it. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { type Figure, type FigureText, frame, type LegendEntry, plotPanel } from "./frame.ts";
import {
  byClass,
  classNames,
  type LabelledPoints,
  type PlaneAxes,
  planeMarks,
  planeOptions,
  planeText,
  planeWidth,
} from "./latent.ts";
import { type Bounds, countPoints, type PlanePoints, thin, toRecords } from "./points.ts";
import { colourOf, INK, rampColour } from "./theme.ts";

/** Values of a function at the centres of a grid's cells, row by row from the lowest y; x runs fastest. */
export interface GridValues {
  readonly columns: number;
  readonly rows: number;
  readonly bounds: Bounds;
  readonly values: Float32Array | Float64Array;
}

/** Cells along each side unless told. */
const CELLS = 96;

/**
 * Evaluates a function at the centres of a grid's cells.
 *
 * @param f - From `[rows × columns, 2]` points, row by row, to as many values.
 * @throws `shape` when `f` returns another number of values.
 */
export function evaluateGrid(
  bounds: Bounds,
  f: (points: Float32Array) => Float32Array | Float64Array,
  cells: number = CELLS,
): GridValues {
  const points = new Float32Array(cells * cells * 2);
  const at = ([low, high]: readonly [number, number], i: number) => low + ((high - low) * (i + 0.5)) / cells;
  for (let row = 0; row < cells; row++)
    for (let column = 0; column < cells; column++)
      points.set([at(bounds.x, column), at(bounds.y, row)], 2 * (row * cells + column));
  const values = f(points);
  if (values.length !== cells * cells)
    fail("shape", `evaluateGrid: ${cells * cells} points need as many values, got ${values.length}`);
  return { columns: cells, rows: cells, bounds, values };
}

/** Nats below the top that are still told apart; a density this far down is nothing. */
const DEFAULT_DEPTH = 10;
/** Bands of the contour plot. */
const BANDS = 10;

interface ContourBands {
  readonly marks: Plot.Markish[];
  readonly low: number;
  readonly high: number;
}

/** Filled contours of a grid from its maximum down to `depth` below. */
function contourBands(grid: GridValues, depth: number): ContourBands {
  if (grid.values.length !== grid.columns * grid.rows)
    fail("shape", `grid of ${grid.rows} × ${grid.columns} needs as many values, got ${grid.values.length}`);
  const finite = Array.from(grid.values).filter(Number.isFinite);
  if (finite.length === 0) fail("non-finite", "energySurface: no finite value on the grid; evaluate it elsewhere");
  const high = finite.reduce((a, b) => Math.max(a, b));
  const low = Math.max(
    high - depth,
    finite.reduce((a, b) => Math.min(a, b)),
  );
  const span = high - low || 1;
  // What is not a number, or lies below the floor, is drawn as the floor.
  const values = Array.from(grid.values, (v) => (Number.isFinite(v) ? Math.max(low, v) : low));
  const thresholds = Array.from({ length: BANDS }, (_, i) => low + (span * i) / BANDS);
  const place = { width: grid.columns, height: grid.rows, x1: grid.bounds.x[0], x2: grid.bounds.x[1] };
  const contour = Plot.contour(values, {
    ...place,
    y1: grid.bounds.y[0],
    y2: grid.bounds.y[1],
    fill: (v: number) => v,
    thresholds,
    stroke: INK.paper,
    strokeWidth: 0.6,
    strokeOpacity: 0.7,
    clip: true,
  });
  return { marks: [contour], low, high };
}

const bandColours = (r: ContourBands): Plot.ScaleOptions => ({
  type: "linear",
  domain: [r.low, r.high - (r.high - r.low || 1) / BANDS],
  range: [0, 1],
  interpolate: () => (t: number) => rampColour(t),
  clamp: true,
});

/** What every figure over a relief takes. */
export interface ContourData extends FigureText, Omit<PlaneAxes, "bounds"> {
  /** The function shown, for instance −E(z) + log p(z) in nats. */
  readonly grid: GridValues;
  /** What the colours measure. */
  readonly valueLabel?: string;
  /** Nats below the top at which the colours end (10 unless told). */
  readonly depth?: number;
}

/** Points drawn at most over a surface, so that it can still be seen. */
const MAX_POINTS = 900;

/**
 * The log density of a tilted latent space, −E(z) + log p(z), as filled contours, with labelled points over it.
 *
 * @throws `shape` for a grid or points that do not agree; `non-finite` when nothing on the grid is finite.
 */
export function energySurface(data: ContourData & { readonly over?: LabelledPoints }): Figure {
  const r = contourBands(data.grid, data.depth ?? DEFAULT_DEPTH);
  const groups = data.over === undefined ? [] : byClass(data.over, MAX_POINTS);
  const points = groups.map((g, i) =>
    Plot.dot(g.points, {
      x: "x",
      y: "y",
      r: 2.6,
      fill: colourOf(i),
      stroke: INK.paper,
      strokeWidth: 0.7,
      clip: true,
    }),
  );
  const panel = plotPanel({
    ...planeOptions({ ...data, bounds: data.grid.bounds }, planeWidth(data)),
    color: bandColours(r),
    marks: planeMarks([...r.marks, ...points, ...(groups.length > 1 ? [classNames(groups)] : [])]),
  });
  const legend = groups.map((g, i): LegendEntry => ({ label: g.name, colour: colourOf(i), shape: "dot" }));
  return frame(planeText(data), [panel], { legend, ramp: rampOf(data, r) });
}

const rampOf = (data: ContourData, r: ContourBands) => ({
  label: data.valueLabel ?? "−E(z) + log p(z), nats",
  low: r.low,
  high: r.high,
  steps: BANDS,
});

/** Chains drawn at most: more cannot be followed by eye. */
const MAX_CHAINS = 8;
/** Colours of paths: those of the palette that stand out from the blue relief. */
const PATH_COLOURS = [1, 2, 3, 4, 6, 8, 7, 9] as const;
const pathColour = (i: number): string => colourOf(PATH_COLOURS[i % PATH_COLOURS.length] as number);

/** Points drawn at most per chain. */
const MAX_STEPS = 400;

/**
 * Paths of a few chains over the density they sample; a ring where a path starts, a dot where it ends.
 *
 * @param data.paths - One flat `[steps, 2]` array per chain.
 * @throws `shape` as {@link energySurface}.
 */
export function langevinPaths(data: ContourData & { readonly paths: readonly PlanePoints[] }): Figure {
  const r = contourBands(data.grid, data.depth ?? DEFAULT_DEPTH);
  const chains = thin(data.paths.length, MAX_CHAINS).map((i) => {
    const path = data.paths[i] as PlanePoints;
    const steps = countPoints(path, `path ${i}`);
    return toRecords(path, [...thin(steps, MAX_STEPS), ...(steps > MAX_STEPS ? [steps - 1] : [])]);
  });
  const marks = chains.flatMap((chain, i) => {
    const at = { x: "x", y: "y", clip: true } as const;
    const colour = pathColour(i);
    return [
      Plot.line(chain, { ...at, stroke: INK.paper, strokeWidth: 2, strokeOpacity: 0.5 }),
      Plot.line(chain, { ...at, stroke: colour, strokeWidth: 0.9, strokeOpacity: 0.9 }),
    ];
  });
  const ends = chains.flatMap((chain, i) => {
    const at = { x: "x", y: "y", clip: true } as const;
    const colour = pathColour(i);
    return [
      Plot.dot(chain.slice(0, 1), { ...at, r: 5, fill: INK.paper, stroke: colour, strokeWidth: 2.2 }),
      Plot.dot(chain.slice(-1), { ...at, r: 5, fill: colour, stroke: INK.paper, strokeWidth: 1.5 }),
    ];
  });
  const panel = plotPanel({
    ...planeOptions({ ...data, bounds: data.grid.bounds }, planeWidth(data)),
    color: bandColours(r),
    marks: planeMarks([...r.marks, ...marks, ...ends]),
  });
  const legend: LegendEntry[] = [
    { label: "start of a chain", colour: INK.text, shape: "ring" },
    { label: "its end", colour: INK.text, shape: "dot" },
  ];
  return frame(planeText(data), [panel], { legend, ramp: rampOf(data, r) });
}
