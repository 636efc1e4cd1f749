/** The built package in a bundle, and the bundle in Chromium: the same bits as in Node where bits are promised. */
import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runNode } from "../support/run.ts";
import { type App, type Bundle, createApp } from "./app.ts";
import { chromiumPath, type PageOptions, visit } from "./chromium.ts";
import { type Findings, findings } from "./page/checks.ts";
import type { Compared } from "./page/compiled.ts";

let app: App;
const bundles: { [page: string]: Bundle } = {};
const bundle = (page: string): Bundle => {
  const found = bundles[page];
  if (found === undefined) throw new Error(`no bundle ${page}`);
  return found;
};

beforeAll(async () => {
  app = await createApp();
  for (const page of ["page", "minimal", "bare", "compiled"]) bundles[page] = await app.bundle(page);
});
afterAll(() => app?.remove());

/** Packed bytes of what draws one normal and weighs it, without the engine's .wasm file. */
const MOST_PACKED = 150_000;
const packed = (files: readonly Uint8Array[]) =>
  files.reduce((bytes, file) => bytes + gzipSync(file, { level: 9 }).length, 0);

describe("a bundle for browsers", () => {
  it("needs nothing of Node and gives no warning", () => {
    expect(bundle("page").warnings).toEqual([]);
  });

  it("keeps the repairs of tfjs where the package is imported for them alone", () => {
    expect(bundle("bare").modules).toContain("engine/install.js");
  });

  it("of importance sampling and one family is small", () => {
    const { initial, modules } = bundle("minimal");
    expect(packed(initial)).toBeLessThan(MOST_PACKED);
    const others = /^(plot|data|models|nn|compiler)\/|^inference\/(optim|vi|mcmc|smc|tilt)\//;
    expect(modules.filter((path) => others.test(path))).toEqual([]);
  });
});

describe("in Node", () => {
  it("the package comes in few files, which find what the modules find", async () => {
    const file = await app.node("checks");
    const script = `const { findings } = await import(${JSON.stringify(file)});
      console.log(JSON.stringify({ at: import.meta.resolve("tilted"), found: await findings({}) }));`;
    const main = `${app.folder}/main.mjs`;
    writeFileSync(main, script);
    const { code, stdout, stderr } = await runNode([main]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const { at, found } = JSON.parse(stdout) as { at: string; found: Findings };
    expect(at).toMatch(/\/lib\/node\/index\.js$/);
    const { refusals, ...wanted } = JSON.parse(JSON.stringify(await findings({}))) as Findings;
    // What cannot be imported is said with the place.
    expect(Object.keys(found.refusals)).toEqual(Object.keys(refusals));
    expect({ ...found, refusals }).toEqual({ ...wanted, refusals });
  });
});

const browser = chromiumPath();
if (browser === undefined)
  console.warn("No Chromium here, so the package is not tried in a browser: install it or set CHROMIUM_PATH.");

const PAGES: readonly PageOptions[] = [
  { isolated: false, threads: 1 },
  { isolated: false, threads: 2 },
  { isolated: true, threads: 1 },
  { isolated: true, threads: 2 },
  { isolated: true, threads: 2, deaf: true },
];
const NEEDS_NODE = /needs Node|in Node/;
/** Rounding differs with the number of threads, and sums of it grow over steps. */
const CLOSE = 4;

describe.skipIf(browser === undefined)("Chromium (skipped without one: set CHROMIUM_PATH)", () => {
  let node: Findings;
  beforeAll(async () => {
    node = await findings({});
  });

  it.each(PAGES)("isolated: $isolated, threads: $threads, workers that fail: $deaf", async (options) => {
    const { outcome, isolated, console } = await visit(browser ?? "", bundle("page").files, options);
    const { found, error } = JSON.parse(outcome) as { found?: Findings; error?: string };
    expect(error).toBeUndefined();
    if (found === undefined) throw new Error("the page found nothing");
    expect(isolated).toBe(options.isolated);
    expect(console).toEqual([]);
    const threads = options.isolated && !options.deaf ? options.threads : 1;
    expect(found.engine).toMatchObject({ name: "wasm", simd: true, threads });
    if (threads !== options.threads) expect(found.engine.note).toMatch(/threads are not available/);
    expect(found.draws).toEqual(node.draws);
    expect(found.svg).toBe(node.svg);
    expect(Object.keys(found.close)).toEqual(Object.keys(node.close));
    for (const [name, values] of Object.entries(node.close))
      values.forEach((value, i) => {
        expect(found.close[name]?.[i], `${name}[${i}]`).toBeCloseTo(value, CLOSE);
      });
    for (const said of Object.values(found.refusals)) expect(said).toMatch(NEEDS_NODE);
  });

  it("compiles with the ONNX Runtime that a page brings, and says how where it brings none", async () => {
    expect(bundle("compiled").warnings).toEqual([]);
    const { outcome, console } = await visit(browser ?? "", bundle("compiled").files, { isolated: false, threads: 1 });
    const { found, error } = JSON.parse(outcome) as { found?: Compared; error?: string };
    expect(error).toBeUndefined();
    expect(console).toEqual([]);
    expect(found?.refusal).toMatch(/onnxruntime: \(\) => import\("onnxruntime-web\/wasm"\)/);
    expect(found?.runtime).toBe("web");
    for (const [compiled = [], plain = []] of [found?.losses ?? [], found?.chains ?? []]) {
      expect(plain.length).toBeGreaterThan(10);
      expect(compiled.length).toBe(plain.length);
      compiled.forEach((value, i) => {
        expect(value / (plain[i] ?? Number.NaN), `${i}`).toBeCloseTo(1, 3);
      });
    }
  });

  it("and Node agree on what the page says in truth", () => {
    // p = N(0, 1) tilted by −(x²/2 − x) is N(1/2, 1/2), with log Z = 1/4 − log(2)/2.
    const [mean = Number.NaN, logZ = Number.NaN] = node.close.snis ?? [];
    expect(mean).toBeCloseTo(0.5, 1);
    expect(logZ).toBeCloseTo(0.25 - Math.log(2) / 2, 1);
    expect(node.close.langevin?.[0]).toBeCloseTo(0.5, 0);
    expect(Object.keys(node.draws)).toHaveLength(6);
  });
});
