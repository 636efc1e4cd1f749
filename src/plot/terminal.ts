/** Figures for a terminal: bars and sparklines in plain text. */
import { fail } from "../core/errors.ts";
import { showNumber } from "./text.ts";

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"] as const;
const LEVELS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/** Characters of the longest bar. */
const BAR = 40;

/** What {@link textHistogram} takes. */
export interface TextHistogramData {
  readonly labels: readonly (string | number)[];
  /** None negative. */
  readonly values: ArrayLike<number>;
  /** Characters of the longest bar (40 unless told). */
  readonly width?: number;
  /** How a value is written (three significant digits unless told). */
  readonly show?: (value: number) => string;
}

/**
 * One bar a line: label, bar, value.
 *
 * @throws `shape` when labels and values differ in number; `argument` when a value is negative.
 */
export function textHistogram(data: TextHistogramData): string {
  const { labels, values, width = BAR, show = (v: number) => showNumber(v) } = data;
  if (labels.length !== values.length)
    fail("shape", `textHistogram: ${labels.length} labels for ${values.length} values`);
  const bad = Array.from(values).find((v) => v < 0);
  if (bad !== undefined) fail("argument", `textHistogram: expected values of zero or more, got ${bad}`);
  const margin = Math.max(...labels.map((l) => String(l).length));
  const top = Math.max(...Array.from(values).filter(Number.isFinite), 0) || 1;
  return labels
    .map((label, i) => {
      const value = values[i] as number;
      const eighths = Number.isFinite(value) ? Math.round((value / top) * width * 8) : 0;
      const bar = "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] as string);
      return `${String(label).padStart(margin)} ${bar.padEnd(width)} ${show(value)}`;
    })
    .join("\n");
}

/** Values as a row of blocks from lowest to highest; what is not finite is a space. */
export function sparkline(values: ArrayLike<number>): string {
  const finite = Array.from(values).filter(Number.isFinite);
  const low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const span = high - low || 1;
  return Array.from(values, (v) =>
    Number.isFinite(v) ? (LEVELS[Math.min(7, Math.floor(((v - low) / span) * 8))] as string) : " ",
  ).join("");
}
