/**
 * The frame of every figure: title, subtitle, legend, one or more panels side by side, caption, in one self-contained SVG.
 * Panels are drawn by Observable Plot into a document of linkedom, so the same code runs in Node and in a browser
 * (where Plot moves lines by half a pixel on a screen of one pixel per point).
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { balanceText, escapeXml, showNumber, textWidth } from "./text.ts";
import { FONT_FAMILY, INK, rampColour, SPACE, TEXT, WIDTH } from "./theme.ts";

/** A picture: a self-contained SVG and its natural size in pixels. */
export interface Figure {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

/** The words around a figure, common to all. */
export interface FigureText {
  readonly title: string;
  readonly subtitle?: string;
  /** Below the figure, small: what to look for, or how it was made. */
  readonly caption?: string;
  /** Natural width in pixels (640 unless told). */
  readonly width?: number;
}

/** How a legend draws its key. */
export type KeyShape = "square" | "dot" | "ring" | "line" | "dash";

/** One entry of a legend. */
export interface LegendEntry {
  readonly label: string;
  readonly colour: string;
  readonly shape: KeyShape;
}

/** The legend of a sequential ramp. */
export interface RampLegend {
  readonly label: string;
  readonly low: number;
  readonly high: number;
  readonly steps: number;
}

/** A drawing without words around it. */
export interface Panel {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
  readonly title?: string;
}

/** Part of a line that text may fill: a browser without Inter shows the SVG in a font that can run an eighth wider. */
const FONT_MARGIN = 0.88;

/** Width that is left for a single panel. */
export const innerWidth = (text: FigureText): number => (text.width ?? WIDTH) - 2 * SPACE.page;

const { document } = parseHTML("<!doctype html><html><body></body></html>");

const COORDINATES = /(\s(?:d|transform|points|[xy][12]?|c[xy]|r|width|height)=")([^"]*)"/g;
/** Hundredths of a pixel are enough, and make the file a third as long. */
const shorten = (svg: string): string =>
  svg.replace(COORDINATES, (_, name: string, value: string) => {
    const short = value.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (n) => String(Number(Number(n).toFixed(2))));
    return `${name}${short}"`;
  });

/** A short name made from the drawing itself, so that the same drawing has the same identifiers in every run. */
function drawingName(svg: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < svg.length; i++) hash = Math.imul(hash ^ svg.charCodeAt(i), 0x01000193);
  return `f${(hash >>> 0).toString(36)}`;
}

/** Margins of a panel unless told: room for axes. */
export const PANEL_MARGINS = { marginLeft: 52, marginRight: 16, marginTop: 26, marginBottom: 42 } as const;

/** Draws a panel with Observable Plot. */
export function plotPanel(options: Plot.PlotOptions, title?: string): Panel {
  const node = Plot.plot({ ...PANEL_MARGINS, ...options, document: document as unknown as Document });
  const raw = (node as unknown as { outerHTML: string }).outerHTML;
  const counted = raw.replace(/<style>[\s\S]*?<\/style>/, "").replace(/ class="plot-[^"]*"/, "");
  // Plot numbers its clip paths over the life of the process; renumber them so that a drawing does not depend on what was drawn before.
  const ids = [...new Set(counted.match(/plot-clip-\d+/g) ?? [])];
  const neutral = ids.reduce((svg, id, i) => svg.replaceAll(new RegExp(`${id}(?!\\d)`, "g"), `clip${i}`), counted);
  const named = neutral.replaceAll(/(id="|#)clip(\d+)/g, `$1${drawingName(neutral)}-$2`);
  const svg = shorten(named)
    .replace(/ font-family="[^"]*"/, "")
    .replace(/ font-size="[^"]*"/, ` font-size="${TEXT.axis}"`);
  const size = (name: string) => Number(new RegExp(`^<svg[^>]*? ${name}="([\\d.]+)"`).exec(svg)?.[1]);
  const panel = { svg, width: size("width"), height: size("height") };
  return title === undefined ? panel : { ...panel, title };
}

function textLines(lines: readonly string[], x: number, y: number, size: number, colour: string, weight = 400): string {
  return lines
    .map((line, i) => {
      const baseline = y + size + i * size * SPACE.line;
      return `<text x="${x}" y="${baseline.toFixed(1)}" font-size="${size}" font-weight="${weight}" fill="${colour}">${escapeXml(line)}</text>`;
    })
    .join("");
}

const KEY = 13;

function legendKey(entry: LegendEntry, x: number, middle: number): string {
  const [c, m] = [entry.colour, middle];
  const centre = x + KEY / 2;
  if (entry.shape === "square")
    return `<rect x="${x}" y="${m - KEY / 2}" width="${KEY}" height="${KEY}" rx="2" fill="${c}"/>`;
  if (entry.shape === "dot") return `<circle cx="${centre}" cy="${m}" r="5" fill="${c}"/>`;
  if (entry.shape === "ring")
    return `<circle cx="${centre}" cy="${m}" r="4.5" fill="none" stroke="${c}" stroke-width="2"/>`;
  const dash = entry.shape === "dash" ? ' stroke-dasharray="4.6 1.6"' : "";
  return `<path d="M${x - 2},${m}H${x + KEY + 2}" stroke="${c}" stroke-width="2.5"${dash}/>`;
}

interface Piece {
  readonly svg: string;
  readonly height: number;
}

/** Legend keys in rows that fit the width. */
function legendRows(entries: readonly LegendEntry[], left: number, top: number, width: number): Piece {
  const row = TEXT.legend + 9;
  let [x, y] = [left, top];
  let svg = "";
  for (const entry of entries) {
    const needed = KEY + 7 + textWidth(entry.label, TEXT.legend);
    if (x > left && x + needed > left + width) [x, y] = [left, y + row];
    const middle = y + row / 2;
    const baseline = middle + TEXT.legend * 0.36;
    svg += legendKey(entry, x, middle);
    svg += `<text x="${(x + KEY + 7).toFixed(1)}" y="${baseline.toFixed(1)}" font-size="${TEXT.legend}" fill="${INK.text}">${escapeXml(entry.label)}</text>`;
    x += needed + 18;
  }
  return { svg, height: entries.length === 0 ? 0 : y - top + row };
}

const RAMP_WIDTH = 180;

/** A ramp's colours with its two ends in numbers, to two digits of what lies between them. */
function rampRow(ramp: RampLegend, left: number, top: number): Piece {
  const label = TEXT.legend;
  const start = left + textWidth(ramp.label, label) + 12;
  const step = RAMP_WIDTH / ramp.steps;
  const unit = 10 ** (Math.floor(Math.log10(ramp.high - ramp.low)) - 1);
  const show = (x: number) =>
    showNumber(ramp.high > ramp.low ? Number((Math.round(x / unit) * unit).toPrecision(12)) + 0 : x);
  const low = show(ramp.low);
  const barStart = start + textWidth(low, TEXT.axis) + 6;
  let svg = `<text x="${left}" y="${top + 13}" font-size="${label}" fill="${INK.text}">${escapeXml(ramp.label)}</text>`;
  svg += `<text x="${start.toFixed(1)}" y="${top + 13}" font-size="${TEXT.axis}" fill="${INK.soft}">${low}</text>`;
  for (let i = 0; i < ramp.steps; i++) {
    const colour = rampColour(i / (ramp.steps - 1));
    svg += `<rect x="${(barStart + i * step).toFixed(2)}" y="${top + 3}" width="${(step + 0.3).toFixed(2)}" height="12" fill="${colour}"/>`;
  }
  svg += `<rect x="${barStart.toFixed(2)}" y="${top + 3}" width="${RAMP_WIDTH}" height="12" fill="none" stroke="${INK.axis}" stroke-width=".6"/>`;
  svg += `<text x="${(barStart + RAMP_WIDTH + 6).toFixed(1)}" y="${top + 13}" font-size="${TEXT.axis}" fill="${INK.soft}">${show(ramp.high)}</text>`;
  return { svg, height: 25 };
}

/** What surrounds the panels beside the words. */
export interface FrameParts {
  readonly legend?: readonly LegendEntry[];
  readonly ramp?: RampLegend;
}

/** Sets panels side by side and puts the words and the legend around them. */
export function frame(text: FigureText, panels: readonly Panel[], parts: FrameParts = {}): Figure {
  const left = SPACE.page;
  const content = panels.reduce((sum, p) => sum + p.width, 0) + SPACE.gap * (panels.length - 1);
  const width = Math.max(text.width ?? WIDTH, content + 2 * SPACE.page);
  const inner = width - 2 * SPACE.page;
  let y = SPACE.page - 4;
  let body = "";
  const addText = (value: string | undefined, size: number, colour: string, weight: number, after: number) => {
    if (value === undefined || value === "") return;
    const lines = balanceText(value, size, inner * FONT_MARGIN, weight > 500);
    body += textLines(lines, left, y, size, colour, weight);
    y += lines.length * size * SPACE.line + after;
  };
  addText(text.title, TEXT.title, INK.text, 600, 2);
  addText(text.subtitle, TEXT.subtitle, INK.soft, 400, 4);
  y += 4;
  const addPiece = (piece: Piece) => {
    body += piece.svg;
    y += piece.height;
  };
  if (parts.legend !== undefined) addPiece(legendRows(parts.legend, left, y, inner));
  if (parts.ramp !== undefined) addPiece(rampRow(parts.ramp, left, y + 3));
  if (parts.legend?.length || parts.ramp !== undefined) y += 8;
  const headings = panels.map((p) =>
    p.title === undefined ? [] : balanceText(p.title, TEXT.panel, p.width * FONT_MARGIN, true),
  );
  const headingLines = Math.max(0, ...headings.map((lines) => lines.length));
  const top = y + (headingLines === 0 ? 0 : headingLines * TEXT.panel * SPACE.line + 4);
  let x = left;
  panels.forEach((panel, i) => {
    body += textLines(headings[i] ?? [], x, y, TEXT.panel, INK.text, 600);
    body += panel.svg.replace("<svg", `<svg x="${x}" y="${top.toFixed(1)}" overflow="visible"`);
    x += panel.width + SPACE.gap;
  });
  y = top + Math.max(...panels.map((p) => p.height)) + 6;
  addText(text.caption, TEXT.caption, INK.soft, 400, 0);
  const height = Math.ceil(y + SPACE.page - 6);
  const label = escapeXml(text.title);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="${label}" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${FONT_FAMILY}" color="${INK.text}">` +
    `<rect width="${width}" height="${height}" fill="${INK.paper}"/>${body}</svg>`;
  return { svg, width, height };
}
