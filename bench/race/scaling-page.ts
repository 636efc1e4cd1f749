/** The curves of the scaling benchmark: their exponents, two pictures, and a page. */
import { type Figure, lines } from "tilted/plot";

/** One run. */
export interface Point {
  readonly size: number;
  readonly ms: number;
  readonly MiB: number;
}

/** One kind of work on one engine, from small to large. */
export interface Curve {
  readonly kind: string;
  readonly engine: string;
  readonly points: readonly Point[];
}

/** What the size of each curve counts, and what is timed. */
const WHAT: { readonly [kind: string]: string } = {
  particles: "particles of `snis` on a 2-D tilt, one run",
  dimensions: "dimensions of the latent, `snis` with 20,000 particles, one run",
  chains: "chains of MALA on a 2-D tilt, 200 steps",
  batch: "rows of a batch, 20 steps of a VAE 196-128-128-2",
  parameters: "parameters of a VAE with two hidden layers, 128 rows, 20 steps",
};

/** Slope of log y against log size, by least squares over the upper half of the sizes: below it, fixed costs rule. */
export function exponent({ points }: Curve, y: "ms" | "MiB", from = Math.floor(points.length / 2)): number {
  const upper = points.slice(from);
  const [xs, ys] = [upper.map((p) => Math.log(p.size)), upper.map((p) => Math.log(p[y]))];
  const mean = (v: readonly number[]) => v.reduce((a, b) => a + b, 0) / v.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const top = xs.reduce((s, x, i) => s + (x - mx) * ((ys[i] as number) - my), 0);
  return top / xs.reduce((s, x) => s + (x - mx) ** 2, 0);
}

/** Slope between the two largest sizes, which the average over the upper half may hide. */
export const lastExponent = ({ engine, kind, points }: Curve, y: "ms" | "MiB"): number =>
  exponent({ engine, kind, points: points.slice(-2) }, y, 0);

/** What timing on a shared machine adds to an exponent. */
const NOISE = 0.1;

export function verdict(curve: Curve): string {
  const isLinear = (slope: (c: Curve, y: "ms" | "MiB") => number) =>
    Math.max(slope(curve, "ms"), slope(curve, "MiB")) <= 1 + NOISE;
  if (!isLinear(exponent)) return "worse than linear";
  return isLinear(lastExponent) ? "no worse than linear" : "worse than linear in the last step";
}

/** A colour for each kind (Okabe & Ito, for every eye); what is compiled is dashed. */
const COLOURS: { readonly [kind: string]: string } = {
  particles: "#0072b2",
  dimensions: "#009e73",
  chains: "#e69f00",
  batch: "#cc79a7",
  parameters: "#d55e00",
};
const LINEAR = "#999999";

/** All curves on logarithmic axes, each against its own size; a grey line shows what linear is. */
export function figure(curves: readonly Curve[], what: "time" | "memory"): Figure {
  const y = what === "time" ? "ms" : "MiB";
  const series = curves.map(({ kind, engine, points }) => ({
    name: `${kind}, ${engine}`,
    x: points.map((p) => p.size),
    y: points.map((p) => p[y]),
    dashed: engine === "compiled",
    colour: COLOURS[kind] ?? LINEAR,
  }));
  const [least, most] = [Math.min, Math.max].map((f) => f(...series.flatMap((s) => s.x))) as [number, number];
  const low = Math.min(...series.flatMap((s) => s.y));
  const high = Math.max(...series.flatMap((s) => s.y));
  const end = Math.min(most, (least * high) / low);
  return lines({
    title: what === "time" ? "Time against size" : "Peak memory against size",
    xLabel: "size: particles, dimensions, chains, rows, parameters",
    yLabel: what === "time" ? "milliseconds" : "MiB",
    xLog: true,
    yLog: true,
    height: 420,
    series: [
      ...series,
      { name: "linear, for comparison", x: [least, end], y: [low, (low * end) / least], colour: LINEAR },
    ],
  });
}

const short = (n: number): string => (n >= 1e5 ? n.toExponential(1).replace("e+", "e") : String(n));

/** The page docs/scaling.md; `note` says what else a reader should know of the measurements. */
export function page(curves: readonly Curve[], machine: string, note = ""): string {
  const row = (c: readonly string[]) => `| ${c.join(" | ")} |`;
  const rows = curves.map((curve) => {
    const { kind, engine, points } = curve;
    const [first, last] = [points[0] as Point, points[points.length - 1] as Point];
    return row([
      WHAT[kind] ?? kind,
      engine,
      `${short(first.size)} to ${short(last.size)}`,
      `${first.ms.toFixed(1)} to ${last.ms.toFixed(0)}`,
      `${first.MiB.toFixed(0)} to ${last.MiB.toFixed(0)}`,
      exponent(curve, "ms").toFixed(2),
      lastExponent(curve, "ms").toFixed(2),
      exponent(curve, "MiB").toFixed(2),
      verdict(curve),
    ]);
  });
  const table = (curve: Curve) => [
    `\n### ${curve.kind}, ${curve.engine}\n`,
    row(["size", "ms", "MiB"]),
    row(["---", "---", "---"]),
    ...curve.points.map(({ size, ms, MiB }) => row([String(size), ms.toFixed(1), MiB.toFixed(0)])),
  ];
  return `# Scaling

Time and memory against size. Each point is the best of two processes, and in each of three runs after a warm-up run (two, if a run takes more
than five seconds). Memory is the peak of a process; some 150 MiB of it are Node and the engine. A compiled run traces and compiles its step
each time; that takes some hundred milliseconds and is included. The exponent is the slope on logarithmic axes, over the upper half of a
curve and between its last two points: 1 is linear. Up to ${(1 + NOISE).toFixed(1)} counts as no worse than linear, since the machine is shared.

Measured on ${machine}, with

\`\`\`sh
npm run bench -- scaling --docs docs
\`\`\`
${note === "" ? "" : `\n${note}\n`}
![Time against size](scaling-time.png)

![Peak memory against size](scaling-memory.png)

${[
  row(["work", "engine", "sizes", "ms", "MiB", "exponent of time", "of its last step", "of memory", ""]),
  row(Array.from({ length: 9 }, () => "---")),
  ...rows,
].join("\n")}

## All points
${curves.flatMap(table).join("\n")}
`;
}
