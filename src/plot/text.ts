/** Text in a picture: escaping, measuring without a browser, breaking into lines, and numbers as people read them. */

/** Text safe inside XML and HTML, in content and in attributes. */
export const escapeXml = (text: string): string =>
  // Control characters have no place in XML 1.0, escaped or not.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** Advance widths of Inter in em, by kind of character: enough to break lines and place legends. */
const ADVANCE: readonly (readonly [RegExp, number])[] = [
  [/[ilj.,:;'|!·]/, 0.28],
  [/[ftr()[\] /-]/, 0.36],
  [/[mwMW%@—]/, 0.88],
  [/[A-Z0-9+=<>−×]/, 0.67],
];
const ADVANCE_OTHER = 0.585;

/** Approximate width in pixels of a line of text at a font size; bold text runs about 5 % wider. */
export function textWidth(text: string, size: number, bold = false): number {
  let em = 0;
  for (const c of text) em += ADVANCE.find(([kind]) => kind.test(c))?.[1] ?? ADVANCE_OTHER;
  return em * size * (bold ? 1.05 : 1);
}

/** Breaks text at spaces so that each line fits; a newline in the text always breaks, a long word never. */
export function wrapText(text: string, size: number, width: number, bold = false): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/\s+/).filter((w) => w !== "")) {
      const longer = line === "" ? word : `${line} ${word}`;
      if (line !== "" && textWidth(longer, size, bold) > width) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    lines.push(line);
  }
  return lines;
}

/** As {@link wrapText}, with lines of about the same length: no last word alone. */
export function balanceText(text: string, size: number, width: number, bold = false): string[] {
  const lines = wrapText(text, size, width, bold);
  let best = lines;
  for (let part = 0.95; part >= 0.5; part -= 0.05) {
    const narrower = wrapText(text, size, width * part, bold);
    if (narrower.length > lines.length) break;
    best = narrower;
  }
  return best;
}

/** Significant digits of a number in a figure or table. */
const DIGITS = 3;

/** A number as people read it: three significant digits, thousands grouped, a true minus sign. */
export function showNumber(value: number, digits = DIGITS): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text: string;
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) text = value.toExponential(digits - 1).replace("e+", "e");
  else if (Number.isInteger(value) || size >= 10 ** digits) text = Math.round(value).toLocaleString("en-US");
  else text = String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

/** A share as a percentage: `0.126` is `12.6 %`. */
export const showShare = (share: number): string => `${(100 * share).toFixed(1).replace("-", "−")} %`;
