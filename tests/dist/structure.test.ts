/** What all families share, asserted of each: shapes, prefixes of draws, supports, refusals, memory, `detach`. */
import * as tf from "@tensorflow/tfjs-core";
import {
  bernoulli,
  beta,
  binomial,
  categorical,
  type Distribution,
  delta,
  dirichlet,
  gamma,
  geometric,
  inverseGamma,
  multivariateNormal,
  normal,
  oneHotCategorical,
  poisson,
  studentT,
} from "tilted/dist";
import { beforeAll, describe, expect, it } from "vitest";
import { type NdArray, ndarray } from "../../src/core/array.ts";
import { rootKey } from "../../src/core/key.ts";
import { scope } from "../../src/core/scope.ts";
import { useEngine } from "../../src/engine/engine.ts";
import { rows as otherRows } from "./rows-other.ts";
import { realRows } from "./rows-real.ts";

beforeAll(() => useEngine("wasm"));

const list = (...values: number[]): NdArray => ndarray(Float32Array.from(values));
const key = rootKey(21);
const dataOf = (make: () => tf.Tensor): number[] => scope(() => [...make().dataSync()]);

/** Families by name, each with a batch of the given shape. */
const scalarFamilies = [...realRows, ...otherRows].map((row) => ({
  name: row.name,
  event: [] as number[],
  build: (batch: number[]): Distribution =>
    row.build((row.sampled[0] as readonly number[]).map((p) => tf.fill(batch, p))),
}));
const vectorFamilies = [
  {
    name: "dirichlet",
    event: [3],
    build: (batch: number[]) => dirichlet(tf.broadcastTo(tf.tensor1d([1, 2, 0.5]), [...batch, 3])),
  },
  {
    name: "multivariateNormal",
    event: [2],
    build: (batch: number[]) =>
      multivariateNormal({ loc: tf.zeros([...batch, 2]), covariance: tf.tensor2d([2, 0.5, 0.5, 1], [2, 2]) }),
  },
  {
    name: "multivariateNormal, diagonal",
    event: [2],
    build: (batch: number[]) => multivariateNormal({ loc: tf.zeros([...batch, 2]), scaleDiag: list(1, 2) }),
  },
  { name: "categorical", event: [], build: (batch: number[]) => categorical({ logits: tf.zeros([...batch, 4]) }) },
  {
    name: "oneHotCategorical",
    event: [4],
    build: (batch: number[]) => oneHotCategorical({ logits: tf.zeros([...batch, 4]) }),
  },
  { name: "delta", event: [], build: (batch: number[]) => delta(tf.fill(batch, 2.5)) },
];

describe.each([...scalarFamilies, ...vectorFamilies])("$name", ({ build, event }) => {
  it("has draws that do not depend on how they are cut into calls, to the bit", () => {
    for (const batch of [[], [3], [2, 3]]) {
      const all = dataOf(() => build(batch).sample(key, [9, 2]));
      const per = all.length / 9;
      const cuts = [
        [0, 4],
        [4, 1],
        [5, 4],
      ].flatMap(([first, n]) => dataOf(() => build(batch).sample(key, [n as number, 2], first)));
      expect(cuts).toEqual(all);
      expect(dataOf(() => build(batch).sample(key, [5, 2]))).toEqual(all.slice(0, 5 * per));
      // One draw without a leading axis is the first one.
      if (batch.length === 0) expect(dataOf(() => build([]).sample(key))).toEqual(all.slice(0, per / 2));
    }
  });

  it("has the shapes it states", () => {
    scope(() => {
      const d = build([2, 3]);
      expect([d.batchShape, d.eventShape]).toEqual([[2, 3], event]);
      expect(d.support.eventRank).toBe(event.length);
      const x = d.sample(key, [4]);
      expect(x.shape).toEqual([4, 2, 3, ...event]);
      expect(d.logProb(x).shape).toEqual([4, 2, 3]);
      expect(d.support.check(x).shape).toEqual([4, 2, 3]);
      const one = build([]).sample(key);
      expect(d.logProb(one).shape).toEqual([2, 3]);
      expect(build([]).logProb(x).shape).toEqual([4, 2, 3]);
      const larger = build([3]).expand([5, 3]);
      expect(larger.batchShape).toEqual([5, 3]);
      expect(larger.sample(key, [2]).shape).toEqual([2, 5, 3, ...event]);
      expect(larger.logProb(one).shape).toEqual([5, 3]);
      const joined = d.event(1);
      expect([joined.batchShape, joined.eventShape]).toEqual([[2], [3, ...event]]);
      expect(joined.support.eventRank).toBe(event.length + 1);
      expect(joined.sample(key, [4]).shape).toEqual(x.shape);
      expect(joined.logProb(x).shape).toEqual([4, 2]);
      expect(d.event(2).logProb(x).shape).toEqual([4]);
      const masked = build([3]).mask(tf.tensor2d([1, 0, 1, 0, 0, 1], [2, 3]));
      expect(masked.batchShape).toEqual([2, 3]);
      expect(masked.sample(key, [4]).shape).toEqual(x.shape);
      expect(masked.logProb(x).shape).toEqual([4, 2, 3]);
      expect(masked.support.check(x).shape).toEqual([4, 2, 3]);
      expect(masked.expand([7, 2, 3]).batchShape).toEqual([7, 2, 3]);
      for (const what of ["mean", "variance"] as const) {
        const shape = shapeOf(() => d[what]());
        if (shape !== undefined) expect(shape).toEqual([2, 3, ...event]);
      }
      const entropy = shapeOf(() => d.entropy());
      if (entropy !== undefined) expect(entropy).toEqual([2, 3]);
    });
  });

  it("sums an event, and expands without other draws of density", () => {
    const [apart, joined, larger] = scope(() => {
      const x = build([2, 3]).sample(key, [4]);
      const each = build([3]);
      return [
        tf.sum(build([2, 3]).logProb(x), -1).dataSync(),
        build([2, 3]).event(1).logProb(x).dataSync(),
        tf.sum(each.expand([2, 3]).logProb(x), -1).dataSync(),
      ];
    });
    expect(joined).toEqual(apart);
    expect(larger).toEqual(apart);
  });

  it("has draws inside its support and nothing outside of it", () => {
    scope(() => {
      const d = build([3]);
      const x = d.sample(key, [50]);
      expect(tf.min(tf.cast(d.support.check(x), "int32")).dataSync()[0]).toBe(1);
      expect(tf.min(tf.cast(tf.isFinite(d.logProb(x)), "int32")).dataSync()[0]).toBe(1);
      const nan = tf.fill([3, ...event], Number.NaN);
      expect([...d.support.check(nan).dataSync()]).toEqual([0, 0, 0]);
      const example = d.support.example([3, ...event]);
      expect([...d.support.check(example).dataSync()]).toEqual([1, 1, 1]);
      // An example stands in for hidden values: where it lies there must be a finite density.
      expect([...tf.isFinite(d.logProb(example)).dataSync()]).toEqual([1, 1, 1]);
    });
  });

  it("leaves no tensors behind", () => {
    const before = tf.memory().numTensors;
    scope(() => {
      const d = build([2]).event(1);
      const inner = tf.memory().numTensors;
      const x = d.sample(key, [2]);
      expect(tf.memory().numTensors).toBe(inner + 1);
      const logProb = d.logProb(x);
      expect(tf.memory().numTensors).toBe(inner + 2);
      void logProb;
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** Shape of a closed form, if there is one. */
function shapeOf(form: () => tf.Tensor): number[] | undefined {
  try {
    return form().shape;
  } catch (error) {
    expect(error).toMatchObject({ code: "unsupported" });
    return undefined;
  }
}

describe.each([...realRows, ...otherRows])("$name, detached", (row) => {
  it("has gradients in the value only", () => {
    const params = row.sampled[0] as readonly number[];
    scope(() => {
      const given = params.map((p) => tf.scalar(p));
      const x = scope(() => row.build(given).sample(key, [5]));
      const whole = (args: tf.Tensor[], detached: boolean) => {
        const d = row.build(args.slice(1));
        return tf.sum((detached ? d.detach() : d).logProb(args[0] as tf.Tensor));
      };
      const slopes = (detached: boolean) =>
        // A plain sum of the arguments, so that each is a part of the function.
        tf
          .grads((...args: tf.Tensor[]) =>
            tf.add(whole(args, detached), tf.mul(0, tf.addN(args.slice(1).map((a) => tf.sum(a))))),
          )([x, ...given])
          .map((g) => [...g.dataSync()]);
      const [free, stopped] = [slopes(false), slopes(true)];
      expect(stopped[0]).toEqual(free[0]);
      for (const slope of stopped.slice(1)) expect(slope).toEqual([0]);
      expect(row.smooth.some((i) => free[i + 1]?.[0] !== 0)).toBe(true);
    });
  });
});

describe.each(realRows)("$name, outside", (row) => {
  it("has no mass there", () => {
    scope(() => {
      const d = row.build((row.sampled[0] as readonly number[]).map((p) => tf.scalar(p)));
      for (const x of row.outside) {
        expect(d.support.check(tf.scalar(x)).dataSync()[0], `support at ${x}`).toBe(0);
        if (!Number.isNaN(x)) expect(d.logProb(x).dataSync()[0], `log p(${x})`).toBe(Number.NEGATIVE_INFINITY);
      }
      // Beside a value outside, the gradients of the others are finite.
      const slope = tf.grad((x: tf.Tensor) => {
        const logProb = d.logProb(x);
        return tf.sum(tf.where(tf.isFinite(logProb), logProb, tf.zerosLike(logProb)));
      })(tf.tensor1d([...row.outside.filter((x) => !Number.isNaN(x)), 0.5]));
      expect([...slope.dataSync()].every(Number.isFinite)).toBe(true);
    });
  });

  it("refuses parameters, naming family, parameter, constraint and value", () => {
    for (const { params, text } of row.refused) {
      const before = tf.memory().numTensors;
      expect(() => scope(() => row.build(params.map((p) => tf.scalar(p))))).toThrow(text);
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});

describe("outside of other supports", () => {
  it.each<[string, () => Distribution, number[]]>([
    ["gamma", () => gamma(2, 1), [-1, -1e-30]],
    ["inverseGamma", () => inverseGamma(2, 1), [-1, 0]],
    ["beta", () => beta(2, 3), [-0.1, 1.1]],
    ["bernoulli", () => bernoulli({ probs: 0.3 }), [-1, 2, 0.5]],
    ["binomial", () => binomial(4, { probs: 0.3 }), [-1, 5, 0.5]],
    ["poisson", () => poisson(3), [-1, 0.5]],
    ["geometric", () => geometric({ probs: 0.3 }), [-1, 0.5]],
    ["delta", () => delta(2), [1.999, 0]],
  ])("%s", (family, make, outside) => {
    for (const x of outside) {
      expect(
        dataOf(() => make().support.check(tf.scalar(x))),
        `support at ${x}`,
      ).toEqual([0]);
      // Bernoulli sites of images are on the hot path: values are checked against the support, not at every density.
      if (family !== "bernoulli") {
        expect(
          dataOf(() => make().logProb(x)),
          `log p(${x})`,
        ).toEqual([Number.NEGATIVE_INFINITY]);
      }
    }
  });
});

describe("parameters that are refused", () => {
  it.each<[() => Distribution, RegExp]>([
    [() => gamma(0, 1), /^gamma: concentration must be positive, got 0/],
    [() => gamma(1, -2), /^gamma: rate must be positive, got -2/],
    [() => inverseGamma(1, 0), /^inverseGamma: scale must be positive, got 0/],
    [() => beta(-1, 1), /^beta: .* must be positive, got -1/],
    [() => studentT(0), /^studentT: df must be positive, got 0/],
    [() => bernoulli({ probs: 1.5 }), /^bernoulli: probs must be in \[0, 1\], got 1.5/],
    [() => poisson(-1), /^poisson: rate must be .*, got -1/],
    [() => geometric({ probs: 0 }), /^geometric: probs must be in .*, got 0/],
    [() => dirichlet(list(1, 0, 2)), /^dirichlet: concentration must be .*, got/],
    [() => normal(list(1, 2), list(1, -1, 1)), /normal: scale must be positive, got -1 \(entry 1\)/],
    [() => normal(list(1, 2), list(1, 1, 1)), /shape/],
    [() => delta(Number.NaN), /^delta: value must be real, got NaN/],
  ])("%s", (make, text) => {
    const before = tf.memory().numTensors;
    expect(() => scope(make)).toThrow(text);
    expect(tf.memory().numTensors).toBe(before);
  });
});
