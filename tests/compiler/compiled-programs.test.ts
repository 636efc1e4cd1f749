/**
 * Random programs, three ways: op by op in single precision, compiled in single and in double precision. Value, gradient and gradient of
 * the gradient of each agree; double precision, whose own errors are 1e-9 of these, tells which of two is right when they do not.
 */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileStep } from "../../src/compiler/step.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { logSumExp, softplus, stopGradient } from "../../src/engine/ops.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

type Op = (a: tf.Tensor, b: tf.Tensor, n: number) => tf.Tensor | undefined;

/** Keeps values where no op overflows or loses its digits. */
const tame = (x: tf.Tensor): tf.Tensor => tf.tanh(x);
const axis = (x: tf.Tensor, n: number): number | undefined => (x.rank === 0 ? undefined : n % x.rank);
const fits = (a: tf.Tensor, b: tf.Tensor): boolean => {
  try {
    tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    return true;
  } catch {
    return false;
  }
};
const both =
  (f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Op =>
  (a, b) =>
    fits(a, b) ? f(a, b) : undefined;
const along =
  (f: (x: tf.Tensor, axis: number, n: number) => tf.Tensor): Op =>
  (x, _, n) => {
    const at = axis(x, n);
    return at === undefined ? undefined : f(x, at, n);
  };

const OPS: { readonly [name: string]: Op } = {
  exp: (x) => tf.exp(tame(x)),
  tanh: (x) => tf.tanh(x),
  sigmoid: (x) => tf.sigmoid(x),
  silu: (x) => tf.mul(x, tf.sigmoid(x)),
  softplus: (x) => softplus(x),
  sin: (x) => tf.sin(x),
  cos: (x) => tf.cos(x),
  erf: (x) => tf.erf(x),
  relu: (x) => tf.relu(x),
  elu: (x) => tf.elu(x),
  square: (x) => tf.square(tame(x)),
  neg: (x) => tf.neg(x),
  log: (x) => tf.log(tf.add(tf.square(x), 0.5)),
  sqrt: (x) => tf.sqrt(tf.add(tf.square(x), 0.5)),
  rsqrt: (x) => tf.rsqrt(tf.add(tf.square(x), 0.5)),
  reciprocal: (x) => tf.reciprocal(tf.add(tame(x), 1.5)),
  pow: (x) => tf.pow(tf.add(tame(x), 1.5), 2.5),
  clip: (x) => tf.clipByValue(x, -0.9, 0.8),
  stop: (x) => tf.add(x, stopGradient(tf.sin(x))),
  add: both((a, b) => tf.add(a, b)),
  sub: both((a, b) => tf.sub(a, b)),
  mul: both((a, b) => tf.mul(tame(a), b)),
  div: both((a, b) => tf.div(a, tf.add(tame(b), 2))),
  maximum: both((a, b) => tf.maximum(a, b)),
  minimum: both((a, b) => tf.minimum(a, b)),
  difference: both((a, b) => tf.squaredDifference(tame(a), tame(b))),
  where: both((a, b) => tf.where(tf.greater(a, b), tf.sin(a), tf.mul(tame(b), a))),
  atan2: both((a, b) => tf.atan2(a, tf.add(tf.square(b), 1))),
  sum: along((x, at, n) => tf.sum(x, at, n % 2 === 0)),
  sumAll: (x) => tf.sum(x),
  mean: along((x, at, n) => tf.mean(x, at, n % 2 === 0)),
  max: along((x, at) => tf.max(x, at, true)),
  min: along((x, at) => tf.min(x, at)),
  logSumExp: along((x, at) => logSumExp(x, at)),
  softmax: (x) => (x.rank === 0 ? undefined : tf.softmax(x)),
  cumsum: along((x, at, n) => tf.mul(0.5, tf.cumsum(x, at, n % 3 === 0, n % 2 === 0))),
  transpose: (x) => tf.transpose(x),
  flatten: (x) => tf.reshape(x, [-1]),
  expand: (x, _, n) => (x.rank > 3 ? undefined : tf.expandDims(x, n % (x.rank + 1))),
  reverse: along((x, at) => tf.reverse(x, at)),
  concat: along((x, at) => tf.concat([x, tf.mul(2, x)], at)),
  stack: (a, b, n) =>
    a.shape.join() === b.shape.join() && a.rank < 4 ? tf.stack([a, b], n % (a.rank + 1)) : undefined,
  unstack: along((x, at, n) => tf.unstack(x, at)[n % (x.shape[at] as number)] as tf.Tensor),
  slice: along((x, at) =>
    tf.slice(
      x,
      x.shape.map((d, i) => (i === at ? d >> 1 : 0)),
      x.shape.map((d, i) => (i === at ? d - (d >> 1) : d)),
    ),
  ),
  pad: along((x, at) =>
    tf.pad(
      x,
      x.shape.map((_, i) => (i === at ? [1, 0] : [0, 1]) as [number, number]),
      0.3,
    ),
  ),
  gather: along((x, at, n) => tf.gather(x, tf.tensor1d([0, n % (x.shape[at] as number), 0], "int32"), at)),
  tile: along((x, at) =>
    tf.tile(
      x,
      x.shape.map((_, i) => (i === at ? 2 : 1)),
    ),
  ),
  broadcast: both((a, b) => tf.broadcastTo(a, tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape))),
  matMul: (a, b) => (a.rank === 2 && b.rank === 2 && a.shape[1] === b.shape[0] ? tf.matMul(tame(a), b) : undefined),
  gram: (a, _, n) => (a.rank === 2 ? tf.mul(0.3, tf.matMul(a, a, n % 2 === 0, n % 2 === 1)) : undefined),
};
const NAMES = Object.keys(OPS);

interface Instruction {
  readonly op: string;
  readonly a: number;
  readonly b: number;
  readonly n: number;
}

const SHAPES = [[], [3], [2, 3], [3, 1], [2, 1, 3], [3, 3]] as const;
/** Tensors stay small: a program that grows one further is left as it was. */
const MOST = 200;

/** A scalar of all that the program made. */
function evaluate(program: readonly Instruction[], inputs: readonly tf.Tensor[]): tf.Tensor {
  const pool = [...inputs];
  for (const { op, a, b, n } of program) {
    const made = OPS[op]?.(pool[a % pool.length] as tf.Tensor, pool[b % pool.length] as tf.Tensor, n);
    if (made !== undefined && made.size <= MOST) pool.push(made);
  }
  return pool.map((x) => tf.mean(tf.sin(x))).reduce((total, x) => tf.add(total, x));
}

/** Value, first gradients, and gradients of the sum of squares of those. */
function everything(program: readonly Instruction[], inputs: tf.Tensor[]): Record<string, tf.Tensor> {
  const f = (...xs: tf.Tensor[]) => evaluate(program, xs);
  const first = tf.grads(f)(inputs);
  const second = tf.grads((...xs: tf.Tensor[]) =>
    tf.addN(
      tf
        .grads(f)(xs)
        .map((g) => tf.sum(tf.square(g))),
    ),
  )(inputs);
  return {
    value: f(...inputs),
    ...Object.fromEntries(first.map((g, i) => [`first ${i}`, g])),
    ...Object.fromEntries(second.map((g, i) => [`second ${i}`, g])),
  };
}

const instruction = fc.record({
  op: fc.constantFrom(...NAMES),
  a: fc.nat(30),
  b: fc.nat(30),
  n: fc.nat(11),
});
const programs = fc.record({
  program: fc.array(instruction, { minLength: 3, maxLength: 18 }),
  shapes: fc.array(fc.constantFrom(...SHAPES), { minLength: 1, maxLength: 3 }),
  seed: fc.nat(1000),
});

/** Units of the largest element of each output: values, gradients and second gradients of some twenty tamed ops. */
const SINGLE = 3e-4;
/** What the two precisions of one graph may differ by comes from single precision alone. */
const RUNS = 120;

describe("random programs", () => {
  it("agree on every engine, in value, gradient and gradient of the gradient", async () => {
    await fc.assert(
      fc.asyncProperty(programs, async ({ program, shapes, seed }) => {
        const before = tf.memory().numTensors;
        let i = 0;
        const data = shapes.map((shape) =>
          Float32Array.from(
            { length: shape.reduce((n: number, d) => n * d, 1) },
            () => 1.3 * Math.sin(7.1 * seed + 2.3 * ++i),
          ),
        );
        const eager = tf.tidy(() =>
          Object.fromEntries(
            Object.entries(
              everything(
                program,
                data.map((x, k) => tf.tensor(x, [...(shapes[k] as readonly number[])])),
              ),
            ).map(([name, x]) => [name, x.dataSync() as Float32Array]),
          ),
        );
        const compiled = async (dtype: "float32" | "float64") => {
          const step = await compileStep({
            what: "program",
            dtype,
            inputs: Object.fromEntries(shapes.map((shape, k) => [`x${k}`, { shape, dtype: "float32" as const }])),
            body: (inputs) => everything(program, Object.values(inputs)),
          });
          const out = await step.run(Object.fromEntries(data.map((x, k) => [`x${k}`, x])));
          const text = step.show();
          step.dispose();
          return { out: out ?? {}, text };
        };
        const [single, double] = [await compiled("float32"), await compiled("float64")];
        for (const [name, wasm] of Object.entries(eager)) {
          const exact = double.out[name] as Float64Array;
          const scale = Math.max(1, ...exact.map(Math.abs));
          exact.forEach((x, k) => {
            const [a, b] = [wasm[k] as number, single.out[name]?.[k] as number];
            const say = `${name} ${k}: double ${x}, op by op ${a}, compiled ${b}\n${single.text}`;
            expect(Math.abs(a - x) / scale, say).toBeLessThan(SINGLE);
            expect(Math.abs(b - x) / scale, say).toBeLessThan(SINGLE);
          });
        }
        expect(tf.memory().numTensors).toBe(before);
      }),
      { numRuns: RUNS, seed: 20 },
    );
  }, 300_000);
});
