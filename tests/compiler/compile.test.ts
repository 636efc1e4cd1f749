/** compile(): what a record takes along, what it refuses, and what it leaves behind. */
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compile, hostTensor } from "../../src/compiler/index.ts";
import { scope } from "../../src/core/scope.ts";
import { normal, poisson } from "../../src/dist/index.ts";
import { model, sample } from "../../src/effects/effects.ts";
import { interpret } from "../../src/effects/interpret.ts";
import { cholesky, choleskySolve, logDetFromCholesky, triangularSolve } from "../../src/engine/linalg.ts";
import { fold, ndarray, rootKey, TiltedError, useEngine } from "../../src/index.ts";

const vector = (...values: number[]) => ndarray(Float32Array.from(values));
const [x2, x3] = [vector(1, 2), vector(1, 2, 3)];

beforeAll(async () => {
  await useEngine("wasm");
});

const opened: Disposable[] = [];
/** compile(), disposed after the test. */
const compiled = ((...args: Parameters<typeof compile>) => {
  const made = compile(...args);
  opened.push(made);
  return made;
}) as typeof compile;

let before = 0;
beforeEach(() => {
  before = tf.memory().numTensors;
});
afterEach(() => {
  for (const made of opened.splice(0)) made[Symbol.dispose]();
  expect(tf.memory().numTensors).toBe(before);
  expect(tf.getBackend()).toBe("wasm");
});

const failure = async (run: () => Promise<unknown>): Promise<TiltedError> => {
  const error = await run().then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(TiltedError);
  return error as TiltedError;
};

describe("compile", () => {
  it("runs a function and its gradient on arrays, in single and double precision", async () => {
    const step = ({ w }: { readonly w: tf.Tensor }) => {
      const f = (v: tf.Tensor) => tf.sum(tf.exp(tf.mul(v, 0.5))) as tf.Scalar;
      const { value, grad } = tf.valueAndGrad(f)(w);
      return { value, grad };
    };
    const single = compiled(step);
    const { value, grad } = await single.run({ w: x2 });
    expect(value.shape).toEqual([]);
    expect(value.data).toBeInstanceOf(Float32Array);
    expect(value.data[0]).toBeCloseTo(Math.exp(0.5) + Math.E, 5);
    expect(grad.shape).toEqual([2]);
    const double = compiled(step, { dtype: "float64" });
    const exact = await double.run({ w: { data: Float64Array.of(0.1, 0.2), shape: [2] } });
    expect(exact.grad.data).toBeInstanceOf(Float64Array);
    expect(Math.abs((exact.grad.data[1] as number) - Math.exp(0.1) / 2)).toBeLessThan(1e-15);
  });

  it("records once for each set of shapes, and shows the graphs", async () => {
    let records = 0;
    const twice = compiled(({ x }: { readonly x: tf.Tensor }) => {
      records++;
      return { y: tf.mul(x, 2) };
    });
    await twice.run({ x: x2 });
    const once = records;
    await twice.run({ x: vector(5, 6) });
    expect(records).toBe(once);
    const { y } = await twice.run({ x: x3 });
    expect(records).toBe(2 * once);
    expect([...y.data]).toEqual([2, 4, 6]);
    expect(twice.show()).toContain('f32[3] = input("x")');
  });

  it("makes captured tensors constants, and leaves them alive", async () => {
    const weights = tf.tensor([[1, 2, 3]]);
    const large = tf.ones([1100, 1000]);
    const mixed = tf.tidy(() => tf.add(large, tf.range(0, 1000)));
    const product = compiled(({ x }: { readonly x: tf.Tensor }) => ({
      y: tf.matMul(weights, tf.reshape(x, [3, 1])),
      z: tf.add(tf.mean(tf.mul(mixed, 2)), tf.sum(x)),
    }));
    const { y, z } = await product.run({ x: x3 });
    expect([...y.data]).toEqual([14]);
    expect(z.data[0]).toBeCloseTo(2 * (1 + 499.5) + 6, 2);
    expect([...weights.dataSync()]).toEqual([1, 2, 3]);
    for (const tensor of [weights, large, mixed]) tensor.dispose();
    // Its data is a constant by now.
    expect([...(await product.run({ x: x3 })).y.data]).toEqual([14]);
  });

  it("solves and factorises matrices that are inputs, with gradients of both orders", async () => {
    const matrices = Float32Array.of(2, 0.3, -0.4, 0.3, 1.5, 0.2, -0.4, 0.2, 1.1, 1, 0.1, 0, 0.1, 2, 0.5, 0, 0.5, 3);
    const right = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
    const run = ({ a, b }: { readonly a: tf.Tensor; readonly b: tf.Tensor }) => {
      const f = (x: tf.Tensor, y: tf.Tensor) => {
        const l = cholesky(x);
        const z = triangularSolve(l, y, { transpose: true });
        return tf.add(
          tf.sum(tf.square(choleskySolve(l, y))),
          tf.mul(tf.sum(tf.square(z)), tf.sum(logDetFromCholesky(l))),
        );
      };
      const [da, db] = tf.grads((x: tf.Tensor, y: tf.Tensor) => f(x, y))([a, b]) as [tf.Tensor, tf.Tensor];
      const slope = (x: tf.Tensor) => tf.sum(tf.square(tf.grad((v: tf.Tensor) => f(v, b))(x)));
      return { value: f(a, b), da, db, second: tf.grad(slope)(a) };
    };
    const [a, b] = [ndarray(matrices, [2, 3, 3]), ndarray(right, [2, 3, 2])];
    const eager = tf.tidy(() =>
      Object.entries(run({ a: a.tensor(), b: b.tensor() })).map(([name, x]) => [name, [...x.dataSync()]] as const),
    );
    const step = compiled(run);
    const out = await step.run({ a, b });
    for (const [name, wanted] of eager) {
      const scale = Math.max(1, ...wanted.map(Math.abs));
      out[name as "value"].data.forEach((x, i) => {
        expect(Math.abs(x - (wanted[i] as number)) / scale, `${name} ${i}`).toBeLessThan(1e-4);
      });
    }
    const indefinite = ndarray(
      matrices.map((x, i) => (i === 4 ? -1 : x)),
      [2, 3, 3],
    );
    expect((await failure(() => step.run({ a: indefinite, b }))).message).toMatch(/check inside/);
  });

  it("in a thread of its own gives the same, and leaves the event loop free", async () => {
    const work = ({ x }: { readonly x: tf.Tensor }) => {
      let y = x;
      for (let i = 0; i < 12; i++) y = tf.tanh(tf.matMul(y, x));
      return { y, total: tf.sum(y) };
    };
    const x = ndarray(
      Float32Array.from({ length: 400 * 400 }, (_, i) => Math.sin(i) / 20),
      [400, 400],
    );
    const [here, there] = [compiled(work), compiled(work, { background: true })];
    const wanted = await here.run({ x });
    await there.run({ x });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const found = await there.run({ x });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    expect(found.total.data[0]).toBe(wanted.total.data[0]);
    expect(Buffer.from(found.y.data.buffer).equals(Buffer.from(wanted.y.data.buffer))).toBe(true);
  });

  it("gives inputs, constants, whole numbers, truth values and empty arrays back, and takes inputs that nothing uses", async () => {
    const step = compiled(
      ({ x, n, idle }: { readonly x: tf.Tensor; readonly n: tf.Tensor; readonly idle: tf.Tensor }) => ({
        x,
        again: x,
        three: tf.scalar(3),
        splat: tf.zeros([2, 2]),
        whole: tf.add(n, tf.scalar(1, "int32")),
        truth: tf.greater(x, 1.5),
        none: tf.slice(x, [2], [0]),
        size: tf.scalar(idle.size),
      }),
    );
    const n = ndarray(Int32Array.of(4, -2));
    const out = await step.run({ x: x2, n, idle: x3 });
    const shown = Object.fromEntries(
      Object.entries(out).map(([name, { data, shape }]) => [name, [[...data], [...shape]]]),
    );
    expect(shown).toEqual({
      x: [[1, 2], [2]],
      again: [[1, 2], [2]],
      three: [[3], []],
      splat: [
        [0, 0, 0, 0],
        [2, 2],
      ],
      whole: [[5, -1], [2]],
      truth: [[0, 1], [2]],
      none: [[], [0]],
      size: [[3], []],
    });
    expect(out.whole.dtype).toBe("int32");
    // Tensors and numbers are taken too.
    const t = tf.tensor1d([7, 8]);
    expect([...(await step.run({ x: t, n, idle: 1 })).x.data]).toEqual([7, 8]);
    t.dispose();
  });

  it("may read what does not depend on its inputs", async () => {
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => {
      const three = tf.add(tf.scalar(1), 2).dataSync()[0] as number;
      return { y: tf.mul(x, three) };
    });
    expect([...(await step.run({ x: x2 })).y.data]).toEqual([3, 6]);
  });

  it("draws from its key what a distribution draws: the same bits, fresh in every run", async () => {
    const noisy = compiled(({ x }: { readonly x: tf.Tensor }, key) => ({
      y: tf.add(tf.mul(x, 0), normal(tf.zeros([2]), 1).sample(fold(key, "a"))),
      n: poisson(3).sample(fold(key, "b"), [4]),
    }));
    for (const seed of [1, 2]) {
      const { y, n } = await noisy.run({ x: x2 }, seed);
      const [wanted, counts] = tf.tidy(() => [
        normal(tf.zeros([2]), 1)
          .sample(fold(rootKey(seed), "a"))
          .dataSync(),
        poisson(3)
          .sample(fold(rootKey(seed), "b"), [4])
          .dataSync(),
      ]) as [Float32Array, Float32Array];
      expect([...y.data]).toEqual([...wanted]);
      expect([...n.data]).toEqual([...counts]);
    }
    expect((await failure(() => noisy.run({ x: x2 }))).code).toBe("no-seed");
  });

  it("makes the numbers of the host anew for every run", async () => {
    let rate = 1;
    const scaled = compiled(({ x }: { readonly x: tf.Tensor }) => ({
      y: tf.mul(
        x,
        hostTensor(() => Float32Array.of(rate), []),
      ),
    }));
    for (rate of [2, 3]) expect([...(await scaled.run({ x: x2 })).y.data]).toEqual([rate, 2 * rate]);
  });

  it.each([
    ["dataSync", (x: tf.Tensor) => tf.mul(x, x.dataSync()[0] as number)],
    ["a branch", (x: tf.Tensor) => ((tf.sum(x).arraySync() as unknown as number) > 0 ? x : tf.neg(x))],
  ])("refuses to read what depends on its inputs: %s", async (_, f) => {
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => ({ y: f(x) }), { name: "halve" });
    const error = await failure(() => step.run({ x: x2 }));
    expect(error.code).toBe("trace");
    expect(error.message).toMatch(/halve.*tf\.where/s);
  });

  it.each([
    ["tf.randomNormal", (x: tf.Tensor) => tf.add(x, tf.randomNormal(x.shape))],
    ["tf.dropout", (x: tf.Tensor) => tf.dropout(x, 0.5)],
    ["Math.random", (x: tf.Tensor) => tf.mul(x, Math.random())],
    ["multinomial", (x: tf.Tensor) => tf.add(x, tf.cast(tf.multinomial([0.3, 0.7], 2), "float32"))],
  ])("refuses randomness that is no input: %s", async (_, f) => {
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => ({ y: f(x) }));
    const error = await failure(() => step.run({ x: x2 }));
    expect(error.code).toBe("trace");
    expect(error.message).toMatch(/distribution/);
  });

  it("refuses what was read also when the error is caught, or comes in a promise that nobody awaits", async () => {
    const caught = compiled(({ x }: { readonly x: tf.Tensor }) => {
      let factor = 2;
      try {
        factor = x.dataSync()[0] as number;
      } catch {
        factor = 3;
      }
      return { y: tf.mul(x, factor) };
    });
    expect((await failure(() => caught.run({ x: x2 }))).code).toBe("trace");
    // Were the promise of data() rejected, the process would end here.
    const logged = compiled(({ x }: { readonly x: tf.Tensor }) => {
      void x.data().then(() => undefined);
      return { y: x };
    });
    expect((await failure(() => logged.run({ x: x2 }))).code).toBe("trace");
    const inner = compiled(({ x }: { readonly x: tf.Tensor }) => ({ y: tf.neg(x) }));
    const outer = compiled(({ x }: { readonly x: tf.Tensor }) => {
      inner.run({ x }).catch(() => undefined);
      return { y: x };
    });
    expect((await failure(() => outer.run({ x: x2 }))).code).toBe("trace");
  });

  it.each<readonly [string, (x: tf.Tensor) => unknown, RegExp]>([
    ["a promise", async (x) => ({ y: x }), /must not be async/],
    ["nothing", () => undefined, /returned undefined/],
    ["a tensor without a name", (x) => x, /returned a tensor/],
    ["no tensors", () => ({}), /returned \{\}/],
    ["a number", () => ({ y: 3 }), /returned number for "y"/],
  ])("says what a step must return: not %s", async (_, f, message) => {
    const step = compiled((({ x }: { readonly x: tf.Tensor }) => f(x)) as never);
    const error = await failure(() => step.run({ x: x2 } as never));
    expect(error.code).toBe("trace");
    expect(error.message).toMatch(message);
  });

  it("says that a captured tensor was disposed", async () => {
    const gone = tf.tensor1d([1, 2]);
    gone.dispose();
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => ({ y: tf.add(x, gone) }));
    const error = await failure(() => step.run({ x: x2 }));
    expect([error.code, error.message]).toEqual(["trace", expect.stringMatching(/shape \[2\].*disposed/)]);
  });

  it("refuses a program that is another at another key", async () => {
    let n = 0;
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => ({ y: n++ % 2 === 0 ? tf.exp(x) : tf.sin(x) }));
    expect((await failure(() => step.run({ x: x2 }))).message).toMatch(/exp at first, then sin/);
  });

  it("refuses the words of its key", async () => {
    const step = compiled(({ x }: { readonly x: tf.Tensor }, key) => ({ y: tf.mul(x, key.lo % 7) }));
    expect((await failure(() => step.run({ x: x2 }, 1))).code).toBe("trace");
  });

  it("names the site at which a model reads a value", async () => {
    const reads = model(function* (x: tf.Tensor) {
      const z = yield* sample("z", normal(x, 1).event(1));
      return z.dataSync()[0];
    });
    const step = compiled(({ x }: { readonly x: tf.Tensor }, key) => {
      interpret(reads(x), { key });
      return { x };
    });
    const error = await failure(() => step.run({ x: x2 }, 1));
    expect([error.code, error.site]).toEqual(["trace", "z"]);
  });

  it("leaves engine and memory as they were when the function throws, inside a gradient too", async () => {
    const step = compiled(({ x }: { readonly x: tf.Tensor }) => ({
      y: tf.grad((v: tf.Tensor) => {
        tf.exp(v);
        throw new RangeError("mine");
      })(x),
    }));
    await expect(step.run({ x: x2 })).rejects.toThrow("mine");
    expect(scope(() => tf.add(1, 1).dataSync()[0])).toBe(2);
  });

  it("refuses to run once disposed", async () => {
    const gone = compile(({ x }: { readonly x: tf.Tensor }) => ({ y: x }));
    await gone.run({ x: x2 });
    gone.dispose();
    gone.dispose();
    expect((await failure(() => gone.run({ x: x2 }))).code).toBe("argument");
  });

  it("says that a check inside it failed", async () => {
    const step = compiled(({ s }: { readonly s: tf.Tensor }) => ({ y: normal(0, s).logProb(1) }));
    expect((await step.run({ s: vector(1) })).y.data[0]).toBeCloseTo(-0.5 - 0.5 * Math.log(2 * Math.PI), 5);
    expect((await failure(() => step.run({ s: vector(-1) }))).message).toMatch(/check inside/);
  });
});
