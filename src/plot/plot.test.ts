/** Every figure is a sound, self-contained SVG that says what it should, and becomes a PNG whose text shows without any font on the machine. */
import fc from "fast-check";
import { DOMParser } from "linkedom";
import { describe, expect, it } from "vitest";
import { TiltedError } from "../core/errors.ts";
import {
  boundsOf,
  code,
  energySurface,
  evaluateGrid,
  type Figure,
  facts,
  figures,
  histogram,
  imageGrid,
  labelHistogram,
  langevinPaths,
  latentScatter,
  lines,
  list,
  note,
  report,
  samplesOverlay,
  scatter,
  showNumber,
  showShare,
  sparkline,
  table,
  text,
  textHistogram,
  toPng,
  trainingCurves,
  weightHistogram,
} from "./index.ts";
import { PNG_MAGIC } from "./png.ts";

const words = { title: "A title & more", subtitle: "a subtitle", caption: "a caption <small>" } as const;
const points = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i * 1.7) * 2);
const labels = Int32Array.from({ length: 30 }, (_, i) => i % 3);
const classes = ["zero", "one", "two"];
const bounds = { x: [-2, 2], y: [-2, 2] } as const;
const grid = evaluateGrid(
  bounds,
  (p) => Float64Array.from({ length: p.length / 2 }, (_, i) => -((p[2 * i] ?? 0) ** 2) - (p[2 * i + 1] ?? 0) ** 2),
  24,
);
const picture = Float32Array.from({ length: 4 * 784 }, (_, i) => (i % 784) / 784);

interface Case {
  readonly name: string;
  readonly draw: () => Figure;
  readonly says: readonly string[];
}

const cases: Case[] = [
  {
    name: "labelHistogram",
    draw: () =>
      labelHistogram({
        ...words,
        classes,
        series: [
          { name: "biased", counts: [1, 2, 7] },
          { name: "even", counts: [5, 5, 5] },
        ],
      }),
    says: ["zero", "biased", "even", "balance, 33.3 %", "70", "share of the set"],
  },
  {
    name: "labelHistogram of counts",
    draw: () => labelHistogram({ ...words, show: "counts", classes, series: [{ name: "all", counts: [1000, 2, 7] }] }),
    says: ["1,000", "number of rows"],
  },
  { name: "latentScatter", draw: () => latentScatter({ ...words, points, labels, classes }), says: [...classes, "z₁"] },
  {
    name: "samplesOverlay",
    draw: () =>
      samplesOverlay({
        ...words,
        clouds: [
          { name: "prior", points, as: "contours" },
          { name: "weighted", points },
        ],
      }),
    says: ["prior", "weighted"],
  },
  {
    name: "energySurface",
    draw: () => energySurface({ ...words, grid, over: { points, labels, classes } }),
    says: ["−E(z) + log p(z), nats", "two"],
  },
  {
    name: "langevinPaths",
    draw: () => langevinPaths({ ...words, grid, paths: [points, points.slice(10)] }),
    says: ["start of a chain"],
  },
  {
    name: "trainingCurves",
    draw: () =>
      trainingCurves({
        ...words,
        curves: [
          { name: "train", values: [5, 4, 3] },
          { name: "validation", values: [6, 5, 5.5] },
        ],
        best: 2,
      }),
    says: ["train", "validation", "kept: epoch 2", "epoch"],
  },
  {
    name: "weightHistogram",
    draw: () => weightHistogram({ ...words, weights: [3, 1] }),
    says: ["ESS/n = 0.8", "largest weight 75.0 %"],
  },
  {
    name: "histogram",
    draw: () => histogram({ ...words, values: [1, 2, 2, 3], density: { name: "exact", at: () => 0.3 } }),
    says: ["exact", "4 samples"],
  },
  {
    name: "lines",
    draw: () =>
      lines({
        ...words,
        yLog: true,
        series: [
          { name: "a", y: [1, 0, 10] },
          { name: "b", y: [1, 2, 3], band: [0.1, 3, 0.1], dashed: true },
        ],
      }),
    says: ["a", "b"],
  },
  {
    name: "scatter",
    draw: () => scatter({ ...words, xLabel: "age", series: [{ name: "data", x: [1, 2], y: [3, 4] }] }),
    says: ["age"],
  },
  {
    name: "imageGrid",
    draw: () =>
      imageGrid({
        ...words,
        sets: [
          { name: "before", images: picture },
          { name: "after", images: picture },
        ],
      }),
    says: ["before", "after"],
  },
  {
    name: "imageGrid with captions",
    draw: () => imageGrid({ ...words, sets: [{ images: picture, captions: ["p", "q", "r", "s"] }] }),
    says: ["p", "s"],
  },
];

/** What a reader sees: the content of the text elements, with entities resolved. */
const textsOf = (svg: string): string[] =>
  [...svg.matchAll(/<t(?:ext|span)[^>]*>([^<]*)(?=<)/g)].map(([, t]) =>
    (t ?? "").replace(/&#(\d+);/g, (_, n) => String.fromCharCode(Number(n))).replace(/&amp;/g, "&"),
  );

describe.each(cases)("$name", ({ draw, says }) => {
  const figure = draw();
  const { svg } = figure;

  it("is well-formed, self-contained and free of numbers that are none", () => {
    const document = new DOMParser().parseFromString(svg, "image/svg+xml");
    expect(document.documentElement?.tagName).toBe("svg");
    for (const opened of new Set([...svg.matchAll(/<([a-zA-Z]+)[ >/]/g)].map(([, t]) => t))) {
      const count = (pattern: string) => svg.match(new RegExp(pattern, "g"))?.length ?? 0;
      expect(count(`<${opened}[ >/]`)).toBe(count(`</${opened}>`) + count(`<${opened}(?:[^>"]|"[^"]*")*/>`));
    }
    expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
    expect(svg.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:/);
    expect(svg).not.toContain("<style");
  });

  it("says its words", () => {
    const texts = textsOf(svg);
    for (const word of [words.title, words.subtitle, words.caption, ...says]) expect(texts).toContain(word);
  });

  it("is the same drawing every time", () => {
    expect(draw().svg).toBe(svg);
  });

  it("becomes a PNG of the size asked for", async () => {
    const png = await toPng(figure, { width: 300 });
    expect([...png.subarray(0, 8)]).toEqual(PNG_MAGIC);
    const view = new DataView(png.buffer, png.byteOffset);
    expect(view.getUint32(16)).toBe(300);
    expect(Math.abs(view.getUint32(20) - (300 * figure.height) / figure.width)).toBeLessThanOrEqual(1);
  });
});

describe("toPng", () => {
  const blank = (content: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40" font-family="Inter, sans-serif">${content}</svg>`;

  it("draws text with the font that ships with the library, in two weights, Greek and signs", async () => {
    const drawn = await Promise.all(
      [
        "",
        ...["Text", "λησθμ", "−×≥→₁"].flatMap((t) =>
          [400, 600].map((w) => `<text y="30" font-size="24" font-weight="${w}">${t}</text>`),
        ),
      ].map(async (content) => Buffer.from(await toPng(blank(content), { scale: 1 })).toString("base64")),
    );
    expect(new Set(drawn).size).toBe(drawn.length);
  });

  it("does not draw a box for any sign that figures use", async () => {
    const one = async (t: string) =>
      Buffer.from(await toPng(blank(`<text y="30" font-size="24">${t}</text>`), { scale: 1 })).toString("base64");
    const missing = await one("\u{10FFFD}");
    for (const sign of ["−", "×", "·", "₁", "₂", "λ", "η", "Σ", "‖", "≤", "→", "–", "∞"])
      expect(await one(sign), sign).not.toBe(missing);
  });

  it("refuses a size that is none", async () => {
    await expect(toPng(blank(""), { width: 0 })).rejects.toMatchObject({ code: "argument" });
    await expect(toPng(blank(""), { scale: Number.NaN })).rejects.toBeInstanceOf(TiltedError);
  });
});

describe("wrong input", () => {
  const codeOf = (draw: () => unknown) => {
    try {
      draw();
    } catch (error) {
      return error instanceof TiltedError ? error.code : error;
    }
    return "nothing thrown";
  };

  it("is refused with a code", () => {
    expect(codeOf(() => labelHistogram({ ...words, classes, series: [{ name: "a", counts: [1] }] }))).toBe("shape");
    expect(codeOf(() => labelHistogram({ ...words, classes, series: [{ name: "a", counts: [1, -1, 2] }] }))).toBe(
      "argument",
    );
    expect(codeOf(() => latentScatter({ ...words, points, labels: [1], classes }))).toBe("shape");
    expect(codeOf(() => samplesOverlay({ ...words, clouds: [{ name: "odd", points: new Float32Array(3) }] }))).toBe(
      "shape",
    );
    expect(codeOf(() => evaluateGrid(bounds, () => new Float32Array(3)))).toBe("shape");
    expect(
      codeOf(() => energySurface({ ...words, grid: { ...grid, values: grid.values.map(() => Number.NaN) } })),
    ).toBe("non-finite");
    expect(codeOf(() => imageGrid({ ...words, sets: [{ images: new Float32Array(100) }] }))).toBe("shape");
    expect(codeOf(() => lines({ ...words, series: [{ name: "a", x: [1], y: [1, 2] }] }))).toBe("shape");
    expect(codeOf(() => lines({ ...words, series: [{ name: "a", y: [Number.NaN] }] }))).toBe("non-finite");
    expect(codeOf(() => weightHistogram({ ...words, weights: [0, 0] }))).toBe("argument");
    expect(codeOf(() => table(["a", "b"], [[1]]))).toBe("shape");
  });

  it("states the ends of a ramp to two digits of their distance", () => {
    const low = Math.min(...grid.values);
    const span = Math.max(...grid.values) - low;
    const stretched = { ...grid, values: grid.values.map((v) => -6.93 + ((v - low) / span) * 7.033) };
    const texts = textsOf(energySurface({ ...words, grid: stretched }).svg);
    for (const end of ["−6.9", "0.1"]) expect(texts).toContain(end);
  });

  it("keeps the label of a rule inside of the figure", () => {
    const anchor = (best: number) =>
      /text-anchor="(\w+)"[^>]*><text[^>]*>kept: epoch/.exec(
        trainingCurves({ ...words, best, curves: [{ name: "train", values: [5, 4, 3, 2, 1] }] }).svg,
      )?.[1];
    expect([anchor(1), anchor(5)]).toEqual(["start", "end"]);
  });

  it("counts epochs in whole numbers, one of them too", () => {
    const ticks = (values: number[]) =>
      textsOf(trainingCurves({ ...words, curves: [{ name: "train", values }] }).svg).filter((text) =>
        /^[\d.]+$/.test(text),
      );
    expect(ticks([500])).toContain("1");
    expect(ticks([500]).filter((text) => text.startsWith("1."))).toEqual([]);
    expect(ticks([500, 400, 300])).toEqual(expect.arrayContaining(["1", "2", "3"]));
    expect(ticks([500, 400, 300]).filter((text) => /^[123]\./.test(text))).toEqual([]);
  });

  it("draws around values that are not finite", () => {
    const holes = points.map((v, i) => (i % 7 === 0 ? Number.NaN : v));
    const grids = { ...grid, values: grid.values.map((v, i) => (i % 5 === 0 ? Number.NEGATIVE_INFINITY : v)) };
    const drawn = [
      latentScatter({ ...words, points: holes, labels, classes }),
      energySurface({ ...words, grid: grids, over: { points: holes, labels, classes } }),
      langevinPaths({ ...words, grid: grids, paths: [holes] }),
      lines({ ...words, series: [{ name: "a", y: holes }] }),
      weightHistogram({ ...words, weights: [0, 0, 1] }),
      imageGrid({ ...words, sets: [{ images: picture.map((v, i) => (i % 3 ? v : Number.NaN)) }] }),
    ];
    for (const { svg } of drawn) expect(svg).not.toMatch(/NaN|Infinity/);
  });
});

describe("plain text", () => {
  it("draws bars in proportion", () => {
    expect(textHistogram({ labels: ["a", "bb"], values: [4, 1], width: 4 })).toBe(" a ████ 4\nbb █    1");
    expect(textHistogram({ labels: [0], values: [0], width: 2 })).toBe("0    0");
  });

  it("draws a sparkline from lowest to highest", () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe("▁▂▃▄▅▆▇█");
    expect(sparkline([1, Number.NaN, 1])).toBe("▁ ▁");
  });

  it("writes numbers as people read them", () => {
    expect([0, 0.12345, 1234567, -0.5, 1e-9, Number.POSITIVE_INFINITY, 127.04].map((v) => showNumber(v))).toEqual([
      "0",
      "0.123",
      "1,234,567",
      "−0.5",
      "1.00e−9",
      "∞",
      "127",
    ]);
    expect(showShare(0.1264)).toBe("12.6 %");
  });

  it("keeps three digits of any number", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (x) => {
        const back = Number(showNumber(x).replaceAll(",", "").replaceAll("−", "-"));
        expect(Math.abs(back - x)).toBeLessThanOrEqual(0.0051 * x);
      }),
    );
  });
});

describe("boundsOf", () => {
  it("holds the points with some air", () => {
    const { x, y } = boundsOf([Float32Array.of(0, 1, 10, 3)]);
    expect(x[0]).toBeLessThan(0);
    expect(x[1]).toBeGreaterThan(10);
    expect(y[0]).toBeLessThan(1);
    expect(y[1]).toBeGreaterThan(3);
    expect(boundsOf([])).toEqual({ x: [-1, 1], y: [-1, 1] });
  });
});

describe("report", () => {
  const figure = lines({ ...words, series: [{ name: "a", y: [1, 2] }] });
  const page = report({
    title: "Tilts & more",
    subtitle: "what *is* shown",
    footer: "seed 1",
    sections: [
      {
        title: "First",
        blocks: [
          text("**bold** and `a < b`"),
          note("mind this"),
          list("one", "two"),
          code("<b>"),
          figures(figure),
          facts({ ESS: 0.8123 }),
          table(
            ["method", "tv"],
            [
              ["SNIS", 0.0421],
              ["<script>", 12],
            ],
            "a caption",
          ),
        ],
      },
    ],
  });

  it("holds all its parts, escaped", () => {
    expect(page).toContain("<title>Tilts &#38; more</title>");
    expect(page).toContain("<strong>bold</strong> and <code>a &#60; b</code>");
    expect(page).toContain("what <em>is</em> shown");
    expect(page).toContain(figure.svg);
    expect(page).toContain('<td class="n">0.0421</td>');
    expect(page).toContain("0.812");
    expect(page).not.toContain("<script>");
  });

  it("loads nothing and runs nothing", () => {
    const bare = page.replaceAll("http://www.w3.org/", "");
    expect(bare).not.toMatch(/https?:|@import|url\((?!#)|<script|<link|src=/);
    expect(page).toContain("prefers-color-scheme: dark");
  });
});
