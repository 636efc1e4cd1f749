/** Pictures of a two-dimensional latent space as clouds of points: by class, and several clouds over each other. */
import * as Plot from "@observablehq/plot";
import { fail } from "../core/errors.ts";
import { CENTRED_AXIS, gridY } from "./axes.ts";
import { type Figure, type FigureText, frame, innerWidth, type LegendEntry, plotPanel } from "./frame.ts";
import { type Bounds, boundsOf, countPoints, type PlanePoint, type PlanePoints, thin, toRecords } from "./points.ts";
import { colourOf, INK, PLANE_WIDTH } from "./theme.ts";

/** Points drawn at most, per cloud: more would only fill the file. */
const MAX_POINTS = 4000;

/** Points from which on dots are drawn smaller. */
const SMALL_DOTS_FROM = 800;

/** Axes of a picture of the plane. */
export interface PlaneAxes {
  readonly bounds?: Bounds;
  readonly xLabel?: string;
  readonly yLabel?: string;
}

/** The words around a picture of the plane, which is narrower than other figures. */
export const planeText = <T extends FigureText>(text: T): T => ({ ...text, width: text.width ?? PLANE_WIDTH });
export const planeWidth = (text: FigureText): number => innerWidth(planeText(text));

/** Equal scales on both axes, a light grid, a frame. */
export function planeOptions(axes: PlaneAxes & { readonly bounds: Bounds }, width: number): Plot.PlotOptions {
  return {
    width,
    aspectRatio: 1,
    marginTop: 8,
    x: { domain: axes.bounds.x, label: axes.xLabel ?? "z₁", ticks: 7, ...CENTRED_AXIS },
    y: { domain: axes.bounds.y, label: axes.yLabel ?? "z₂", ticks: 7, ...CENTRED_AXIS },
  };
}

/** Grid lines under the data and a frame over it. */
export const planeMarks = (marks: Plot.Markish[]): Plot.Markish[] => [
  Plot.gridX({ ticks: 7, stroke: INK.grid, strokeOpacity: 1 }),
  gridY(7),
  ...marks,
  Plot.frame({ stroke: INK.axis, strokeWidth: 0.8 }),
];

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** Dots of a cloud: smaller and fainter the more there are. */
function dots(points: readonly PlanePoint[], colour: string, crowd: boolean, opacity?: number): Plot.Markish {
  return Plot.dot(points, {
    x: "x",
    y: "y",
    r: crowd ? 1.8 : 2.6,
    fill: colour,
    fillOpacity: opacity ?? (crowd ? 0.55 : 0.75),
    clip: true,
  });
}

/** Names of classes at their medians, in their colour: a figure must not speak by colour alone. */
export const classNames = (groups: readonly { readonly name: string; readonly points: readonly PlanePoint[] }[]) =>
  Plot.text(
    groups.flatMap((g, i) =>
      g.points.length === 0
        ? []
        : [
            {
              x: median(g.points.map((p) => p.x)),
              y: median(g.points.map((p) => p.y)),
              name: g.name,
              colour: colourOf(i),
            },
          ],
    ),
    {
      x: "x",
      y: "y",
      text: "name",
      fontSize: 19,
      fontWeight: 600,
      fill: INK.text,
      stroke: INK.paper,
      strokeWidth: 5,
    },
  );

/** Points with a class each. */
export interface LabelledPoints {
  readonly points: PlanePoints;
  /** Class of each point: an index into `classes`. */
  readonly labels: ArrayLike<number>;
  readonly classes: readonly string[];
}

/** Splits labelled points by class; at most `limit` in all. */
export function byClass(data: LabelledPoints, limit: number = MAX_POINTS) {
  const n = countPoints(data.points, "points");
  if (data.labels.length !== n) fail("shape", `${n} points need ${n} labels, got ${data.labels.length}`);
  const rows = thin(n, limit);
  return data.classes.map((name, k) => ({
    name,
    points: toRecords(
      data.points,
      rows.filter((i) => data.labels[i] === k),
    ),
  }));
}

/**
 * Latent points coloured by class, each class named at its median.
 *
 * @throws `shape` when points and labels do not agree.
 */
export function latentScatter(data: LabelledPoints & FigureText & PlaneAxes): Figure {
  const groups = byClass(data);
  const bounds = data.bounds ?? boundsOf([data.points]);
  const crowd = data.points.length > 2 * SMALL_DOTS_FROM;
  const panel = plotPanel({
    ...planeOptions({ ...data, bounds }, planeWidth(data)),
    marks: planeMarks([...groups.map((g, i) => dots(g.points, colourOf(i), crowd)), classNames(groups)]),
  });
  const legend = groups.map((g, i): LegendEntry => ({ label: g.name, colour: colourOf(i), shape: "dot" }));
  return frame(planeText(data), [panel], { legend });
}

/** One cloud of an overlay. */
export interface Cloud {
  readonly name: string;
  readonly points: PlanePoints;
  /** How it is drawn: single dots, or contours of its density (good under or over dots). Dots unless told. */
  readonly as?: "dots" | "contours";
  readonly colour?: string;
}

const CONTOUR_LEVELS = 6;

/**
 * Several clouds of the plane over each other, the first at the bottom: for instance prior draws, latents of the data, and
 * weighted samples.
 *
 * @throws `shape` when a cloud is not `[n, 2]`.
 */
export function samplesOverlay(data: FigureText & PlaneAxes & { readonly clouds: readonly Cloud[] }): Figure {
  for (const cloud of data.clouds) countPoints(cloud.points, `cloud "${cloud.name}"`);
  const bounds = data.bounds ?? boundsOf(data.clouds.map((c) => c.points));
  const colour = (cloud: Cloud, i: number) => cloud.colour ?? colourOf(i);
  const marks = data.clouds.map((cloud, i) => {
    const points = toRecords(cloud.points, thin(cloud.points.length / 2, MAX_POINTS));
    if (cloud.as !== "contours") return dots(points, colour(cloud, i), points.length > SMALL_DOTS_FROM, 0.45);
    return Plot.density(points, {
      x: "x",
      y: "y",
      bandwidth: 20,
      thresholds: CONTOUR_LEVELS,
      stroke: colour(cloud, i),
      strokeWidth: 1.4,
      clip: true,
    });
  });
  const panel = plotPanel({ ...planeOptions({ ...data, bounds }, planeWidth(data)), marks: planeMarks(marks) });
  const legend = data.clouds.map(
    (cloud, i): LegendEntry => ({
      label: cloud.name,
      colour: colour(cloud, i),
      shape: cloud.as === "contours" ? "line" : "dot",
    }),
  );
  return frame(planeText(data), [panel], { legend });
}
