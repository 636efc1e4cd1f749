/** One self-contained page of words, tables and figures: no network, no scripts, light and dark, good on paper too. */
import { fail } from "../core/errors.ts";
import type { Figure } from "./frame.ts";
import { escapeXml, showNumber } from "./text.ts";
import { FONT_FAMILY } from "./theme.ts";

/** A cell of a table: a number is set to the right with three significant digits, text as it is. */
export type Cell = string | number;

/** One thing on the page. Text may use `**bold**`, `*emphasis*` and `` `code` ``. */
export type Block =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "code"; readonly code: string }
  | { readonly kind: "figures"; readonly figures: readonly Figure[] }
  | { readonly kind: "facts"; readonly facts: readonly { readonly name: string; readonly value: Cell }[] }
  | {
      readonly kind: "table";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Cell[])[];
      readonly caption?: string;
    };

/** A paragraph. */
export const text = (words: string): Block => ({ kind: "text", text: words });
/** A remark set apart: what a reader should not miss. */
export const note = (words: string): Block => ({ kind: "note", text: words });
/** A list of points. */
export const list = (...items: string[]): Block => ({ kind: "list", items });
/** Code or terminal output. */
export const code = (source: string): Block => ({ kind: "code", code: source });
/** Figures side by side where the page is wide enough. */
export const figures = (...drawn: Figure[]): Block => ({ kind: "figures", figures: drawn });
/** A few numbers that matter, large. */
export const facts = (record: Readonly<Record<string, Cell>>): Block => ({
  kind: "facts",
  facts: Object.entries(record).map(([name, value]) => ({ name, value })),
});
/**
 * A table; its first column names the rows.
 *
 * @throws `shape` when a row does not have one cell for each column.
 */
export function table(columns: readonly string[], rows: readonly (readonly Cell[])[], caption?: string): Block {
  const odd = rows.find((row) => row.length !== columns.length);
  if (odd !== undefined)
    fail("shape", `table: a row has ${odd.length} cells for ${columns.length} columns: ${odd.join(" | ")}`);
  return { kind: "table", columns, rows, ...(caption === undefined ? {} : { caption }) };
}

/** A headed part of the page. */
export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** What {@link report} takes. */
export interface ReportData {
  readonly title: string;
  readonly subtitle?: string;
  readonly sections: readonly Section[];
  /** At the end, small: seed, engine, versions. */
  readonly footer?: string;
  /** Language of the words (`en` unless told). */
  readonly language?: string;
}

const inline = (words: string): string =>
  escapeXml(words)
    .split(/(`[^`]*`)/)
    .map((part, i) =>
      i % 2 === 1
        ? `<code>${part.slice(1, -1)}</code>`
        : part.replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>").replace(/\*([^*\s][^*]*)\*/g, "<em>$1</em>"),
    )
    .join("");

const showCell = (cell: Cell): string => (typeof cell === "number" ? showNumber(cell) : inline(cell));

function tableHtml(block: Extract<Block, { kind: "table" }>): string {
  // A column is numeric when each of its cells starts like a number.
  const numeric = block.columns.map(
    (_, j) =>
      block.rows.length > 0 &&
      block.rows.every((r) => typeof r[j] === "number" || /^[−+-]?[\d.]/.test(String(r[j])) || r[j] === "–"),
  );
  const side = (j: number) => (numeric[j] ? ' class="n"' : "");
  const head = block.columns.map((c, j) => `<th scope="col"${side(j)}>${inline(c)}</th>`).join("");
  const body = block.rows
    .map((row) => {
      const cells = row.map((c, j) =>
        j === 0 && !numeric[0] ? `<th scope="row">${showCell(c)}</th>` : `<td${side(j)}>${showCell(c)}</td>`,
      );
      return `<tr>${cells.join("")}</tr>`;
    })
    .join("\n");
  const caption = block.caption === undefined ? "" : `<caption>${inline(block.caption)}</caption>`;
  return `<div class="wide"><table>${caption}<thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

function blockHtml(block: Block): string {
  switch (block.kind) {
    case "text":
      return `<p>${inline(block.text)}</p>`;
    case "note":
      return `<aside>${inline(block.text)}</aside>`;
    case "list":
      return `<ul>${block.items.map((item) => `<li>${inline(item)}</li>`).join("")}</ul>`;
    case "code":
      return `<pre><code>${escapeXml(block.code)}</code></pre>`;
    case "figures":
      return `<div class="figures">${block.figures.map((f) => `<figure style="max-width:${f.width}px">${f.svg}</figure>`).join("\n")}</div>`;
    case "facts":
      return `<dl>${block.facts.map((f) => `<div><dt>${inline(f.name)}</dt><dd>${showCell(f.value)}</dd></div>`).join("")}</dl>`;
    case "table":
      return tableHtml(block);
  }
}

const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --soft: #57606a; --line: #d8dee4; --tint: #f3f6f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6e9ed; --soft: #9aa4af; --line: #323a43; --tint: #1d232a; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.6 ${FONT_FAMILY}; -webkit-text-size-adjust: 100%; }
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 56px; padding-bottom: 8px; }
h1 { font-size: 2.1rem; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 10px; }
header p { font-size: 1.15rem; color: var(--soft); margin: 0; max-width: 44em; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 52px 0 10px; padding-top: 18px; border-top: 1px solid var(--line); }
p, ul, aside { max-width: 42em; margin: 0 0 14px; }
ul { padding-left: 1.3em; } li { margin: 4px 0; }
code { font: .9em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; background: var(--tint); border-radius: 4px; padding: .1em .35em; }
pre { background: var(--tint); border-radius: 8px; padding: 14px 18px; overflow-x: auto; } pre code { background: none; padding: 0; line-height: 1.45; }
aside { border-left: 4px solid var(--accent); background: var(--tint); border-radius: 0 8px 8px 0; padding: 12px 18px; }
.figures { display: flex; flex-wrap: wrap; gap: 18px; margin: 18px 0 22px; align-items: flex-start; }
figure { flex: 1 1 420px; margin: 0; background: #fff; border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
figure svg { display: block; width: 100%; height: auto; } figure svg svg { display: inline; width: auto; }
.wide { overflow-x: auto; margin: 16px 0 22px; }
table { border-collapse: collapse; font-size: .95rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: .88rem; padding-top: 8px; }
th, td { text-align: left; padding: 7px 18px 7px 0; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; } .n { text-align: right; white-space: nowrap; }
dl { display: flex; flex-wrap: wrap; gap: 14px; margin: 18px 0 22px; } dl div { background: var(--tint); border-radius: 10px; padding: 12px 20px; min-width: 130px; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
footer { color: var(--soft); font-size: .88rem; padding-top: 36px; padding-bottom: 48px; }
@media print { body { font-size: 11pt; } figure, table, dl { break-inside: avoid; } h2 { break-after: avoid; } }
`;

/**
 * A complete HTML page as text. Figures stand inline as SVG, styles inline; nothing is loaded from elsewhere.
 */
export function report(data: ReportData): string {
  const subtitle = data.subtitle === undefined ? "" : `\n<p>${inline(data.subtitle)}</p>`;
  const footer = data.footer === undefined ? "" : `\n<footer>${inline(data.footer)}</footer>`;
  const sections = data.sections
    .map((s) => `<section>\n<h2>${inline(s.title)}</h2>\n${s.blocks.map(blockHtml).join("\n")}\n</section>`)
    .join("\n");
  return `<!doctype html>
<html lang="${escapeXml(data.language ?? "en")}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(data.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${inline(data.title)}</h1>${subtitle}
</header>
<main>
${sections}
</main>${footer}
</body>
</html>
`;
}
