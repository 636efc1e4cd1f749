/**
 * Time and memory against size: particles, dimensions, chains, rows of a batch, widths of a network. `npm run bench -- scaling
 * [--only CURVE,…] [--out out/bench]` prints the exponent of each curve's upper half, 1 being linear, and draws them.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { lines, toPng } from "tilted/plot";

const { values } = parseArgs({
  options: { only: { type: "string" }, out: { type: "string", default: "out/bench" } },
});

/** Sizes of each curve. The parameters of a network grow with the square of its width. */
const CURVES: { readonly [kind: string]: { readonly sizes: readonly number[]; readonly axis: string } } = {
  particles: { sizes: [1e2, 1e3, 1e4, 1e5, 1e6, 1e7], axis: "particles" },
  dimensions: { sizes: [1, 4, 16, 64, 256], axis: "dimensions of the latent" },
  chains: { sizes: [1e1, 1e2, 1e3, 1e4, 1e5], axis: "chains" },
  batch: { sizes: [16, 64, 256, 1024, 4096], axis: "rows of a batch" },
  parameters: { sizes: [32, 64, 128, 256, 512, 1024], axis: "width of two hidden layers" },
};

interface Point {
  readonly size: number;
  readonly ms: number;
  readonly MiB: number;
}

const file = fileURLToPath(new URL("./race/scaling-point.ts", import.meta.url));
const measure = (kind: string, size: number): Point => {
  const out = execFileSync(process.execPath, ["--import", "tsx", file, kind, String(size)], { encoding: "utf8" });
  return { size, ...(JSON.parse(out.trim().split("\n").pop() as string) as { ms: number; MiB: number }) };
};

/** Slope of log y against log x, by least squares over the upper half of the sizes: below it, fixed costs rule. */
function exponent(points: readonly Point[], y: (p: Point) => number): number {
  const upper = points.slice(Math.floor(points.length / 2));
  const [xs, ys] = [upper.map((p) => Math.log(p.size)), upper.map((p) => Math.log(y(p)))];
  const mean = (v: readonly number[]) => v.reduce((a, b) => a + b, 0) / v.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const top = xs.reduce((s, x, i) => s + (x - mx) * ((ys[i] as number) - my), 0);
  return top / xs.reduce((s, x) => s + (x - mx) ** 2, 0);
}

mkdirSync(values.out, { recursive: true });
const chosen = values.only?.split(",");
for (const [kind, { sizes, axis }] of Object.entries(CURVES)) {
  if (chosen !== undefined && !chosen.includes(kind)) continue;
  const points = sizes.map((size) => measure(kind, size));
  console.log(`\n${kind}`);
  for (const { size, ms, MiB } of points) {
    console.log(`${String(size).padStart(10)} ${ms.toFixed(1).padStart(10)} ms ${MiB.toFixed(0).padStart(6)} MiB`);
  }
  console.log(
    `  exponent of time ${exponent(points, (p) => p.ms).toFixed(2)}, of memory ${exponent(points, (p) => p.MiB).toFixed(2)}`,
  );
  const draw = (what: string, unit: string, y: (p: Point) => number) =>
    lines({
      title: `${what} against ${axis}`,
      xLabel: axis,
      yLabel: unit,
      xLog: true,
      yLog: true,
      series: [{ name: what, x: points.map((p) => p.size), y: points.map(y) }],
    });
  for (const [name, figure] of [
    [`${kind}-time`, draw("Time", "milliseconds", (p) => p.ms)],
    [`${kind}-memory`, draw("Peak memory", "MiB", (p) => p.MiB)],
  ] as const) {
    writeFileSync(join(values.out, `${name}.svg`), figure.svg);
    writeFileSync(join(values.out, `${name}.png`), await toPng(figure));
  }
}
