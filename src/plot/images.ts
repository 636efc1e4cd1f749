/** Small greyscale pictures in a grid: data beside what a model decodes. */
import { fail } from "../core/errors.ts";
import { type Figure, type FigureText, frame, innerWidth, type Panel } from "./frame.ts";
import { encodeGreyPng, pngDataUri } from "./png.ts";
import { escapeXml } from "./text.ts";
import { INK, SPACE, TEXT } from "./theme.ts";

/** Some pictures under one heading. */
export interface ImageSet {
  readonly name?: string;
  /** `[n, rows × columns]` values in [0, 1], flat: 0 is paper, 1 is ink. */
  readonly images: Float32Array;
  /** A word under each picture, for instance its class. */
  readonly captions?: readonly string[];
}

/** What {@link imageGrid} takes beside the words. */
export interface ImageGridData {
  readonly sets: readonly ImageSet[];
  /** Pixels of one picture (28 unless told). */
  readonly rows?: number;
  readonly columns?: number;
  /** Pictures in a row of a set (chosen to make it about square unless told). */
  readonly perRow?: number;
}

/** Pixels of one picture on the page, at most. */
const MAX_PIXELS = 56;
/** Pictures in a row of the page, the best first. */
const FULL_ROWS = [12, 10, 11, 9, 8, 13, 14] as const;
/** Paper between pictures, in their own pixels. */
const GUTTER = 2;

/** All pictures of a set as one greyscale mosaic: dark ink on white paper. */
function mosaic(set: ImageSet, rows: number, columns: number, perRow: number) {
  const n = set.images.length / (rows * columns);
  const across = Math.min(n, perRow);
  const down = Math.ceil(n / across);
  const [width, height] = [across * (columns + GUTTER) - GUTTER, down * (rows + GUTTER) - GUTTER];
  const grey = new Uint8Array(width * height).fill(255);
  for (let i = 0; i < n; i++) {
    const [left, top] = [(i % across) * (columns + GUTTER), Math.floor(i / across) * (rows + GUTTER)];
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const ink = set.images[(i * rows + r) * columns + c] as number;
        const value = Number.isFinite(ink) ? Math.min(1, Math.max(0, ink)) : 0;
        grey[(top + r) * width + left + c] = 255 - Math.round(255 * value);
      }
  }
  return { n, across, down, width, height, uri: pngDataUri(encodeGreyPng(grey, width, height)) };
}

function imagePanel(set: ImageSet, rows: number, columns: number, perRow: number, width: number): Panel {
  const heading = set.name === undefined ? {} : { title: set.name };
  if (set.captions !== undefined) return captionedPanel(set, rows, columns, perRow, width, heading);
  const m = mosaic(set, rows, columns, perRow);
  const scale = Math.min(width / m.width, MAX_PIXELS / columns);
  const [w, h] = [Math.round(m.width * scale), Math.round(m.height * scale)];
  const svg = `<svg width="${w}" height="${h}"><image width="${w}" height="${h}" preserveAspectRatio="none" href="${m.uri}"/></svg>`;
  return { svg, width: w, height: h, ...heading };
}

/** With captions every picture stands alone, a word under it. */
function captionedPanel(
  set: ImageSet,
  rows: number,
  columns: number,
  perRow: number,
  width: number,
  heading: { readonly title?: string },
): Panel {
  const n = set.images.length / (rows * columns);
  const across = Math.min(n, perRow);
  const cell = Math.min(width / across, MAX_PIXELS + 8);
  const size = cell - 8;
  const line = TEXT.caption + 7;
  const tall = (size * rows) / columns + line;
  let body = "";
  for (let i = 0; i < n; i++) {
    const image = set.images.subarray(i * rows * columns, (i + 1) * rows * columns);
    const { uri } = mosaic({ images: image }, rows, columns, 1);
    const [x, y] = [(i % across) * cell, Math.floor(i / across) * (tall + 4)];
    body += `<image x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${size.toFixed(1)}" height="${(tall - line).toFixed(1)}" preserveAspectRatio="none" href="${uri}"/>`;
    const word = escapeXml(set.captions?.[i] ?? "");
    body += `<text x="${(x + size / 2).toFixed(1)}" y="${(y + tall - 4).toFixed(1)}" text-anchor="middle" font-size="${TEXT.caption}" fill="${INK.soft}">${word}</text>`;
  }
  const [w, h] = [Math.round(across * cell), Math.round(Math.ceil(n / across) * (tall + 4))];
  return { svg: `<svg width="${w}" height="${h}">${body}</svg>`, width: w, height: h, ...heading };
}

/**
 * Greyscale pictures in one or more grids side by side, dark ink on white paper. Values outside [0, 1] are clamped.
 *
 * @throws `shape` when the values of a set are not whole pictures, or its captions are not one for each.
 */
export function imageGrid(data: ImageGridData & FigureText): Figure {
  const [rows, columns] = [data.rows ?? 28, data.columns ?? 28];
  if (data.sets.length === 0) fail("argument", "imageGrid: expected at least one set of images");
  for (const set of data.sets) {
    const n = set.images.length / (rows * columns);
    const name = set.name ?? "images";
    if (!Number.isInteger(n) || n < 1)
      fail("shape", `imageGrid: "${name}" has ${set.images.length} values, not whole pictures of ${rows} × ${columns}`);
    if (set.captions !== undefined && set.captions.length !== n)
      fail("shape", `imageGrid: "${name}" has ${n} pictures and ${set.captions.length} captions`);
  }
  const share = (innerWidth(data) - SPACE.gap * (data.sets.length - 1)) / data.sets.length;
  const single = data.sets.length === 1;
  const perRow = (set: ImageSet) => {
    const n = set.images.length / (rows * columns);
    // One set spreads over the page in full rows if it can; several stand side by side, each about square.
    return data.perRow ?? (single ? (FULL_ROWS.find((d) => n % d === 0) ?? FULL_ROWS[0]) : Math.ceil(Math.sqrt(n)));
  };
  const panels = data.sets.map((set) => {
    const panel = imagePanel(set, rows, columns, perRow(set), share);
    return single ? panel : { ...panel, width: Math.floor(share) };
  });
  return frame(data, panels);
}
