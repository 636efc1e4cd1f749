/** The embedded engine as a program meets it: from any folder, without a word on the console, with clear failures. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { TiltedError } from "../core/errors.ts";
import { ensureEngine, requireEngine, useEngine } from "./engine.ts";
import { installRepairs } from "./install.ts";
import { replaceGradient } from "./registry.ts";
import { withSuppressedLogs } from "./suppress-logs.ts";

const ENGINE = fileURLToPath(new URL("./engine.ts", import.meta.url));
const TSX = import.meta.resolve("tsx");
const CORE = import.meta.resolve("@tensorflow/tfjs-core");

/** Runs a program of its own in an empty folder. */
function program(body: string): { out: string; err: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), "engine-"));
  try {
    const file = join(folder, "program.mts");
    const head = `import * as tf from ${JSON.stringify(CORE)};\nimport { useEngine, ensureEngine } from ${JSON.stringify(ENGINE)};\n`;
    writeFileSync(file, head + body);
    const done = spawnSync(process.execPath, ["--import", TSX, file], { cwd: folder, encoding: "utf8" });
    return { out: done.stdout, err: done.stderr, status: done.status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the wasm engine", () => {
  it("must be started before code that cannot await", () => {
    expect(() => requireEngine()).toThrow(/no engine is running yet: `await useEngine\("wasm"\)`/);
  });

  it("starts once, and says what it is", async () => {
    const [a, b] = await Promise.all([ensureEngine(), ensureEngine()]);
    expect(a).toBe(b);
    expect(a).toEqual({ name: "wasm", threads: 1, simd: true, gpu: false });
    expect(requireEngine()).toBe(a);
    expect(await useEngine("wasm")).toEqual(a);
    expect(tf.getBackend()).toBe("wasm");
  });

  it("starts from any folder without a word, and leaves the process and the console alone", () => {
    const { out, err, status } = program(`
      const methods = [console.log, console.warn, console.error, console.info];
      await useEngine("wasm");
      const same = methods.every((method, i) => method === [console.log, console.warn, console.error, console.info][i]);
      const handlers = process.listeners("uncaughtException").length + process.listeners("unhandledRejection").length;
      const slope = tf.tidy(() => tf.grad((x) => tf.sum(tf.exp(x)))(tf.tensor1d([0])).dataSync()[0]);
      process.stdout.write(JSON.stringify({ same, handlers, slope }));
    `);
    expect(err).toBe("");
    expect(JSON.parse(out)).toEqual({ same: true, handlers: 0, slope: 1 });
    expect(status).toBe(0);
  });

  it("leaves an uncaught error of the program to the program", () => {
    const { err, status } = program(`await useEngine("wasm");\nthrow new Error("mine");`);
    expect(status).toBe(1);
    expect(err).toContain("Error: mine");
    // Emscripten's handler rethrows from its minified loader, of which Node then prints 70 kB.
    expect(err.length).toBeLessThan(2000);
  });

  it("says where it looked when its files are not there", () => {
    const { out, err } = program(`
      const error = await useEngine("wasm", { wasmPaths: "/nowhere/" }).catch((e) => e);
      process.stdout.write(JSON.stringify([error.code, error.message]));
    `);
    const [code, message] = JSON.parse(out);
    expect(code).toBe("engine");
    expect(message).toContain("/nowhere/");
    expect(message).toContain("wasmPaths");
    expect(err).toBe("");
  });
});

describe("threads", () => {
  const PRODUCT = `
    const product = tf.tidy(() => {
      const a = tf.reshape(tf.range(0, 300 * 200), [300, 200]);
      const slope = tf.grad((x) => tf.sum(tf.square(tf.matMul(tf.mul(x, 1e-4), tf.ones([200, 100])))));
      return [...tf.sum(slope(a), 1).dataSync()].map((x) => Math.round(x * 1e3));
    });
    const clean = typeof globalThis.Worker === "undefined" && Blob.name === "Blob";
    process.stdout.write(JSON.stringify({ info, product, clean }));
  `;

  it("run on request, give the same numbers, and let the process end", () => {
    const [one, two] = [1, 2].map((threads) =>
      program(`const info = await useEngine("wasm", { threads: ${threads} });${PRODUCT}`),
    );
    expect([one?.err, two?.err, two?.status]).toEqual(["", "", 0]);
    const [a, b] = [JSON.parse(one?.out ?? ""), JSON.parse(two?.out ?? "")];
    expect(b.info).toEqual({ name: "wasm", threads: 2, simd: true, gpu: false });
    expect(b.product).toEqual(a.product);
    expect([a.clean, b.clean]).toEqual([true, true]);
  });

  it("that cannot start leave the engine without, and a note", () => {
    const { out, err, status } = program(`
      process.getBuiltinModule("worker_threads").Worker = class { constructor() { throw new Error("no workers"); } };
      const info = await useEngine("wasm", { threads: 2 });
      process.stdout.write(JSON.stringify([info, tf.tidy(() => tf.matMul(tf.ones([2, 2]), tf.ones([2, 1])).dataSync()[1])]));
    `);
    const [info, value] = JSON.parse(out);
    expect([info.threads, value, err, status]).toEqual([1, 2, "", 0]);
    expect(info.note).toContain("2 threads were asked for, 1 runs: threads are not available here");
  });

  it("are fixed at the first start, and a number from 1 to 8", async () => {
    await ensureEngine();
    expect((await useEngine("wasm", { threads: 4 })).note).toContain("fixed at the first start");
    const error = await useEngine("wasm", { threads: 0 }).catch((thrown: unknown) => thrown);
    expect((error as TiltedError).code).toBe("argument");
  });
});

describe("the node-gpu engine", () => {
  it("is not installed here: Node's own error is the cause, and the wasm engine goes on", () => {
    const { out, err } = program(`
      await useEngine("wasm");
      const error = await useEngine("node-gpu").catch((e) => e);
      const engine = (await ensureEngine()).name;
      process.stdout.write(JSON.stringify([error.code, error.cause.code, error.message, engine, tf.getBackend()]));
    `);
    const [code, cause, message, engine, backend] = JSON.parse(out);
    expect([code, cause, engine, backend]).toEqual(["engine", "ERR_MODULE_NOT_FOUND", "wasm", "wasm"]);
    expect(message).toContain("npm install @tensorflow/tfjs-node-gpu@4.22.0");
    expect(message).toContain("Cannot find package");
    expect(err).toBe("");
  });
});

describe("repairs", () => {
  it("are installed once, and put back when something overwrites them", async () => {
    await ensureEngine();
    const ours = tf.getGradient("Exp");
    const kernel = tf.getKernel("Conv2D", "wasm");
    const { messages } = await withSuppressedLogs(
      async () => installRepairs(),
      () => true,
    );
    expect(messages).toEqual([]);
    expect(tf.getGradient("Exp")).toBe(ours);
    expect(tf.getKernel("Conv2D", "wasm")).toBe(kernel);
    replaceGradient({ kernelName: "Exp", gradFunc: () => ({}) });
    requireEngine();
    expect(tf.getGradient("Exp")).toBe(ours);
  });

  it("leave a failure a TiltedError, with advice", async () => {
    await ensureEngine();
    expect(() => tf.tidy(() => tf.gather(tf.tensor1d([1, 2]), tf.tensor1d([5], "int32")))).toThrow(TiltedError);
  });
});
