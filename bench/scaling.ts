/**
 * Time and memory against size: particles, dimensions, chains, rows of a batch, parameters of a network, on both engines.
 *
 *   npm run bench -- scaling [--only CURVE,…] [--engines wasm,compiled] [--rounds 2] [--json FILE] [--out …] [--docs docs]
 *   npm run bench -- scaling --from FILE.json [--out …] [--docs docs]
 *
 * Each point is measured in so many processes (--rounds), round by round, and the best counts. Prints the exponent of each curve's upper
 * half, 1 being linear, and draws all curves on logarithmic axes. With --docs the page scaling.md and its two pictures are written there,
 * with --note TEXT after the line that says on what they were measured. With --from nothing is measured: the page has the file's date.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { toPng } from "tilted/plot";
import { type Curve, exponent, figure, lastExponent, type Point, page, verdict } from "./race/scaling-page.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    engines: { type: "string", default: "wasm,compiled" },
    out: { type: "string", default: "out/bench" },
    rounds: { type: "string", default: "2" },
    json: { type: "string" },
    from: { type: "string" },
    docs: { type: "string" },
    note: { type: "string" },
  },
});

/** Sizes of each curve; of networks the width, from which the parameters are counted. */
const CURVES: { readonly [kind: string]: readonly number[] } = {
  particles: [1e2, 1e3, 1e4, 1e5, 1e6, 1e7],
  dimensions: [1, 4, 16, 64, 256, 1024],
  chains: [1e1, 1e2, 1e3, 1e4, 1e5],
  batch: [16, 64, 256, 1024, 4096],
  parameters: [32, 64, 128, 256, 512, 1024, 2048],
};

const file = fileURLToPath(new URL("./race/scaling-point.ts", import.meta.url));
const measure = (kind: string, size: number, engine: string): Point => {
  const args = ["--import", "tsx", file, kind, String(size), engine];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }).trim().split("\n").pop() as string);
};

const better = (a: Point, b: Point): Point => (b.ms < a.ms ? b : a);

function measureAll(): Curve[] {
  const chosen = values.only?.split(",");
  for (const kind of chosen ?? []) {
    if (kind in CURVES) continue;
    console.error(`no curve "${kind}"; there are ${Object.keys(CURVES).join(", ")}`);
    process.exit(1);
  }
  return Object.entries(CURVES)
    .filter(([kind]) => chosen?.includes(kind) ?? true)
    .flatMap(([kind, sizes]) =>
      values.engines.split(",").map((engine): Curve => {
        // Round by round: what disturbs the machine for a while then disturbs one measurement of a point, not all.
        const rounds = Array.from({ length: Number(values.rounds) }, () =>
          sizes.map((size) => measure(kind, size, engine)),
        );
        const points = rounds.reduce((kept, round) => kept.map((point, i) => better(point, round[i] as Point)));
        const curve = { kind, engine, points };
        console.log(`\n${kind}, ${engine}`);
        for (const { size, ms, MiB } of points)
          console.log(
            `${String(size).padStart(10)} ${ms.toFixed(1).padStart(10)} ms ${MiB.toFixed(0).padStart(6)} MiB`,
          );
        const [time, last, memory] = [exponent(curve, "ms"), lastExponent(curve, "ms"), exponent(curve, "MiB")];
        console.log(
          `  exponent of time ${time.toFixed(2)} (last step ${last.toFixed(2)}), of memory ${memory.toFixed(2)}: ${verdict(curve)}`,
        );
        return curve;
      }),
    );
}

/** Pixels of a page's picture for one of the figure. */
const PAGE_SCALE = 1.25;

const measured = values.from === undefined ? new Date() : statSync(values.from).mtime;
const curves = values.from === undefined ? measureAll() : (JSON.parse(readFileSync(values.from, "utf8")) as Curve[]);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(curves, null, 1)}\n`);
mkdirSync(values.out, { recursive: true });
for (const what of ["time", "memory"] as const) {
  const picture = figure(curves, what);
  writeFileSync(join(values.out, `scaling-${what}.svg`), picture.svg);
  const png = await toPng(picture);
  writeFileSync(join(values.out, `scaling-${what}.png`), png);
  if (values.docs !== undefined)
    writeFileSync(join(values.docs, `scaling-${what}.png`), await toPng(picture, { scale: PAGE_SCALE }));
}
if (values.docs !== undefined) {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, ${measured.toISOString().slice(0, 10)}`;
  writeFileSync(join(values.docs, "scaling.md"), page(curves, machine, values.note));
}
