/**
 * Repairs of tfjs's node engine, where the package is not installed: a stand-in has its kernels' limits on top of tfjs's
 * reference kernels, and must agree with the wasm engine, which the table of ops holds to differences. With the package,
 * the table itself runs on it (tests/support/engine.ts).
 */
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { scope } from "../../src/core/scope.ts";
import { normal } from "../../src/dist/index.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { withSuppressedLogs } from "../../src/engine/suppress-logs.ts";
import { infer, langevin, model, sample } from "../../src/index.ts";
import { OP_TABLE } from "./op-table.ts";
import type { OpCase } from "./table/case.ts";

type Attrs = { readonly [name: string]: unknown };

/** Longest scan whose float32 accumulator may stand. */
const LONGEST = 64;

const onlyNamedPads = ({ pad }: Attrs) => pad === "valid" || pad === "same";
const undilated = ({ dilations }: Attrs) => [dilations ?? 1].flat().every((d) => d === 1);

/** What each kernel of tfjs-node can do; it throws, or is wrong, beyond. */
const LIMITS: { readonly [kernelName: string]: (attrs: Attrs, x: tf.TensorInfo) => boolean } = {
  Conv2D: onlyNamedPads,
  Conv2DBackpropInput: onlyNamedPads,
  Conv2DBackpropFilter: onlyNamedPads,
  DepthwiseConv2dNative: (attrs) => onlyNamedPads(attrs) && undilated(attrs),
  MaxPool: onlyNamedPads,
  MaxPoolGrad: onlyNamedPads,
  AvgPool: onlyNamedPads,
  DepthwiseConv2dNativeBackpropInput: (attrs) => onlyNamedPads(attrs) && undilated(attrs),
  DepthwiseConv2dNativeBackpropFilter: (attrs) => onlyNamedPads(attrs) && undilated(attrs),
  GatherV2: ({ axis }) => (axis as number) >= 0,
  Cumsum: ({ axis }, x) => (x.shape[axis as number] as number) <= LONGEST,
};

async function standIn(): Promise<void> {
  tf.copyRegisteredKernels("cpu", "tensorflow");
  for (const [kernelName, within] of Object.entries(LIMITS)) {
    const original = tf.getKernel(kernelName, "tensorflow");
    tf.unregisterKernel(kernelName, "tensorflow");
    tf.registerKernel({
      ...original,
      kernelFunc: (args) => {
        const x = Object.values(args.inputs)[0] as tf.TensorInfo;
        if (!within((args.attrs ?? {}) as Attrs, x)) throw new Error(`${kernelName}: beyond what the kernel can do`);
        return original.kernelFunc(args);
      },
    });
  }
  tf.registerBackend("tensorflow", () => new MathBackendCPU(), 3);
}

const inputs = ({ shapes, domain: [low, high] }: OpCase): tf.Tensor[] =>
  shapes.map((shape, k) => {
    const n = shape.reduce((p, d) => p * d, 1);
    const spread = (i: number) => ((i + 1) * 0.6180339887498949 + 0.37 * k) % 1;
    return tf.tensor(
      Float32Array.from({ length: n }, (_, i) => low + (high - low) * spread(i)),
      [...shape],
    );
  });

/** Value, gradient and gradient of the sum of squares of the gradient. */
const results = (row: OpCase): number[][] =>
  scope(() => {
    const square = (y: tf.Tensor) => tf.sum(tf.square(y));
    const first = (x: tf.Tensor[]) => tf.grads((...y: tf.Tensor[]) => square(row.run(...y)))(x);
    const second = tf.grads((...x: tf.Tensor[]) => tf.addN(first(x).map(square)));
    const x = inputs(row);
    return [row.run(...x), ...first(x), ...second(x)].map((y) => [...y.dataSync()]);
  });

const ROWS = OP_TABLE.filter(({ name }) => /numeric pad|depthwiseConv2d|negative axis|cumsum|pool|einsum/i.test(name));

const expected = new Map<OpCase, number[][]>();

beforeAll(async () => {
  await useEngine("wasm");
  for (const row of ROWS) expected.set(row, results(row));
  await withSuppressedLogs(() => useEngine("node-gpu", { load: standIn }));
});

afterAll(async () => {
  await useEngine("wasm");
  tf.removeBackend("tensorflow");
  for (const { kernelName } of tf.getKernelsForBackend("tensorflow")) tf.unregisterKernel(kernelName, "tensorflow");
});

describe("node-gpu", () => {
  it.each(ROWS.map((row) => [row.name, row] as const))("%s", (_, row) => {
    expect(tf.getBackend()).toBe("tensorflow");
    const found = results(row);
    const wanted = expected.get(row) as number[][];
    expect(found.map((values) => values.length)).toEqual(wanted.map((values) => values.length));
    found.forEach((values, k) => {
      const scale = Math.max(1, ...(wanted[k] as number[]).map(Math.abs));
      values.forEach((y, i) => {
        expect(Math.abs(y - (wanted[k]?.[i] as number)) / scale).toBeLessThan(1e-5);
      });
    });
  });

  it("keeps a run that would repay compiling, unless that is asked for", async () => {
    const walk = model(function* () {
      return yield* sample("x", normal(0, 1));
    });
    const r = await infer(walk, langevin({ chains: 4, steps: 200, warmup: 20, stepSize: 0.5 }), { seed: 1 });
    expect(r.engine.name).toBe("node-gpu");
    expect(r.engine.compiled).toEqual({ used: false, reason: "the node-gpu engine was asked for" });
    expect(tf.memory().numTensors).toBe(0);
  });

  it("says which index of a gather is out of range", () => {
    let caught: unknown;
    try {
      scope(() => tf.gather(tf.ones([2, 3]), tf.tensor1d([0, 3], "int32"), -1).dataSync());
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(TiltedError);
    expect((caught as TiltedError).code).toBe("argument");
    expect((caught as TiltedError).message).toContain("index 3 is outside 0 … 2 of axis 1");
  });

  it("refuses an einsum with a diagonal, as on wasm", () => {
    expect(() => scope(() => tf.einsum("ii->i", tf.ones([2, 2])).dataSync())).toThrow(/diagonal/);
  });
});
