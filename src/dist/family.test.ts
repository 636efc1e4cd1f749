import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../core/array.ts";
import { rootKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { useEngine } from "../engine/engine.ts";
import { bernoulli } from "./bernoulli.ts";
import { beta } from "./beta.ts";
import {
  affine,
  compose,
  expBijection,
  lowerCholeskyBijection,
  sigmoidBijection,
  stickBreaking,
} from "./bijections.ts";
import { exponential, uniform } from "./bounded.ts";
import { categorical } from "./categorical.ts";
import { lowerCholesky, positive, real, simplex, unitInterval } from "./constraints.ts";
import { halfNormal, laplace, logNormal, normal } from "./continuous.ts";
import { dirichlet } from "./dirichlet.ts";
import type { Distribution } from "./distribution.ts";
import { gamma } from "./gamma.ts";
import { kl } from "./kl.ts";
import { multivariateNormal } from "./multivariate-normal.ts";
import { delta, improper } from "./point.ts";
import { poisson } from "./poisson.ts";
import { transformed } from "./transformed.ts";
import { truncatedNormal } from "./truncated-normal.ts";

beforeAll(() => useEngine("wasm"));

const key = rootKey(4);
const list = (...values: number[]) => ndarray(Float32Array.from(values));
const dataOf = (make: () => tf.Tensor): number[] => scope(() => [...make().dataSync()]);
const ROWS = 4;
const COLUMNS = 5;

/** Families with a parameter to differentiate by, each of any batch. */
const families: readonly [string, (p: tf.Tensor) => Distribution, number][] = [
  ["normal", (p) => normal(p, 2), 0.3],
  ["laplace", (p) => laplace(p, 2), 0.3],
  ["logNormal", (p) => logNormal(p, 0.5), 0.3],
  ["halfNormal", (p) => halfNormal(p), 1.5],
  ["exponential", (p) => exponential(p), 1.5],
  ["uniform", (p) => uniform(0.25, p), 4],
  ["truncatedNormal", (p) => truncatedNormal(p, 1, 2, 3), 1],
  ["truncatedNormal above", (p) => truncatedNormal(p, 1, 2, Number.POSITIVE_INFINITY), 1],
  ["truncatedNormal below", (p) => truncatedNormal(p, 1, Number.NEGATIVE_INFINITY, 2), 1],
  ["truncatedNormal anywhere", (p) => truncatedNormal(p, 1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY), 1],
  ["gamma", (p) => gamma(p, 2), 1.5],
  ["beta", (p) => beta(p, 2), 1.5],
  ["bernoulli", (p) => bernoulli({ logits: p }), 0.4],
  ["poisson", (p) => poisson(p), 3],
  ["transformed", (p) => transformed(normal(p, 1), compose(affine(-1, 3), sigmoidBijection)), 0.2],
];

const masks = (shape: readonly number[]) => {
  const n = shape.reduce((a, b) => a * b, 1);
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(new Array<number>(n).fill(0), new Array<number>(n).fill(1)) },
    { weight: 6, arbitrary: fc.array(fc.constantFrom(0, 1), { minLength: n, maxLength: n }) },
  );
};

describe.each(families)("a mask of %s", (_, family, parameter) => {
  const shape = [ROWS, COLUMNS];

  /** Density and its gradients, where what the mask hides is replaced by `hidden`. */
  const evaluate = (mask: number[], hidden: number, masked: (d: Distribution, m: tf.Tensor) => Distribution) =>
    scope(() => {
      const p = tf.fill(shape, parameter);
      const clean = family(p).sample(key).dataSync();
      const m = tf.tensor(mask, shape);
      const x = tf.tensor(
        clean.map((v: number, i: number) => (mask[i] === 1 ? v : hidden)),
        shape,
      );
      const f = (v: tf.Tensor, q: tf.Tensor) => masked(family(q), m).logProb(v);
      const [byValue, byParam] = tf.grads((v: tf.Tensor, q: tf.Tensor) => tf.sum(f(v, q)))([x, p]);
      const free = (v: tf.Tensor, q: tf.Tensor) => tf.sum(tf.mul(family(q).logProb(v), m));
      const exact = tf.grads(free)([tf.tensor(clean, shape), p]);
      return {
        logProb: [...f(x, p).dataSync()],
        exactLogProb: [...tf.mul(family(p).logProb(tf.tensor(clean, shape)), m).dataSync()],
        gradients: [byValue, byParam].map((g) => [...(g as tf.Tensor).dataSync()]),
        exactGradients: exact.map((g) => [...g.dataSync()]),
        inside: [...masked(family(p), m).support.check(x).dataSync()],
      };
    });
  /** −0 is 0 here. */
  const plain = (values: readonly number[]) => values.map((v) => v + 0);
  const hidden = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -7, 1e30, 0);

  it("hides entries in value, gradient and support, whatever lies under it", () => {
    fc.assert(
      fc.property(masks(shape), hidden, (mask, value) => {
        const found = evaluate(mask, value, (d, m) => d.mask(m));
        expect(plain(found.logProb)).toEqual(plain(found.exactLogProb));
        expect(found.gradients.map(plain)).toEqual(found.exactGradients.map(plain));
        expect(found.inside).toEqual(found.inside.map(() => 1));
      }),
      { numRuns: 15 },
    );
  });

  it("of entries hides them inside an event", () => {
    fc.assert(
      fc.property(masks(shape), hidden, (mask, value) => {
        const found = evaluate(mask, value, (d, m) => d.event(1).maskEntries(m));
        const rows = Array.from({ length: ROWS }, (_, i) =>
          found.exactLogProb.slice(i * COLUMNS, (i + 1) * COLUMNS).reduce((a, b) => a + b, 0),
        );
        for (const [i, row] of rows.entries()) expect(found.logProb[i]).toBeCloseTo(row, 4);
        expect(found.gradients.map(plain)).toEqual(found.exactGradients.map(plain));
        expect(found.inside).toEqual(new Array(ROWS).fill(1));
      }),
      { numRuns: 10 },
    );
  });
});

describe("masks", () => {
  it("see what they do not hide", () => {
    const d = () => exponential(list(1, 1, 1)).mask(list(1, 0, 1));
    expect(dataOf(() => d().logProb(list(-1, Number.NaN, 2)))).toEqual([Number.NEGATIVE_INFINITY, 0, -2]);
    expect(dataOf(() => d().support.check(tf.tensor1d([-1, Number.NaN, 2])))).toEqual([0, 1, 1]);
  });

  it("of entries broadcast over rows, and give a batch to an event without one", () => {
    scope(() => {
      const mask = tf.tensor2d([1, 0, 1, 1, 1, 1, 0, 0], [4, 2]);
      const d = normal(list(0, 1), 1).event(1).maskEntries(mask);
      expect([d.batchShape, d.eventShape]).toEqual([[4], [2]]);
      const x = tf.zeros([4, 2]);
      const [n0, n1] = normal(list(0, 1), 1).logProb(0).dataSync() as Float32Array as unknown as [number, number];
      const found = d.logProb(x).dataSync();
      for (const [i, exact] of [n0, n0 + n1, n0 + n1, 0].entries()) expect(found[i]).toBeCloseTo(exact, 5);
      expect(d.sample(key, [3]).shape).toEqual([3, 4, 2]);
      // Rows of a data set under a mask of features, drawn apart: no two rows alike.
      const [a, b] = [...tf.slice(d.sample(key), [0, 0], [2, 1]).dataSync()];
      expect(a).not.toBe(b);
    });
  });

  it("combine, and commute with event and expand", () => {
    scope(() => {
      const [a, b] = [tf.tensor1d([1, 0, 1, 1]), tf.tensor1d([1, 1, 0, 1])];
      const x = tf.tensor1d([0.5, Number.NaN, Number.NaN, 2]);
      const both = normal(tf.zeros([4]), 1)
        .mask(a)
        .mask(b);
      const entries = normal(tf.zeros([4]), 1)
        .event(1)
        .maskEntries(a)
        .maskEntries(b);
      const rows = normal(tf.zeros([3, 4]), 1)
        .event(1)
        .mask(tf.tensor1d([1, 0, 1]))
        .maskEntries(tf.mul(a, b));
      const joint = tf.sum(both.logProb(x)).dataSync()[0] as number;
      expect(both.logProb(x).dataSync()[1]).toBe(0);
      expect(both.event(1).logProb(x).dataSync()[0]).toBeCloseTo(joint, 5);
      expect(entries.logProb(x).dataSync()[0]).toBeCloseTo(joint, 5);
      expect([...entries.support.check(x).dataSync()]).toEqual([1]);
      const found = rows.logProb(tf.stack([x, tf.fill([4], Number.NaN), x])).dataSync();
      expect(found[1]).toBe(0);
      for (const i of [0, 2]) expect(found[i]).toBeCloseTo(joint, 5);
      expect(both.expand([2, 4]).logProb(x).shape).toEqual([2, 4]);
      expect([...both.detach().logProb(x).dataSync()]).toEqual([...both.logProb(x).dataSync()]);
    });
  });

  it("count entropies of what they show, and have no closed KL", () => {
    scope(() => {
      const d = normal(tf.zeros([2]), 1).mask(tf.tensor1d([0, 1]));
      expect(d.entropy().dataSync()[0]).toBe(0);
      expect(d.entropy().dataSync()[1]).toBeCloseTo(1.4189385, 6);
      expect(kl(d, normal(tf.zeros([2]), 1), { key, draws: 2 }).exact).toBe(false);
    });
  });

  it("hide values outside of a support that differs from entry to entry", () => {
    const d = () => uniform(list(0, 10), list(1, 11)).mask(list(1, 0));
    expect(dataOf(() => d().logProb(list(0.5, 0.5))).map((v) => v + 0)).toEqual([0, 0]);
    expect(dataOf(() => d().logProb(0.5)).map((v) => v + 0)).toEqual([0, 0]);
  });

  it("that cannot hold are refused", () => {
    scope(() => {
      expect(() => normal(tf.zeros([3]), 1).mask(list(1, 0))).toThrow(
        /^normal: a mask of shape \[2\] does not fit the batch shape \[3\]/,
      );
      for (const d of [
        dirichlet(list(1, 2)),
        multivariateNormal({ loc: list(0, 0), scaleDiag: list(1, 1) }),
        dirichlet(tf.ones([3, 2])).event(1),
      ]) {
        expect(() => d.maskEntries(list(1, 0))).toThrow(
          /entries of one event depend on each other and cannot be masked one by one; declare independent/,
        );
      }
      // Without event axes, entries are those of the batch.
      expect(
        categorical({ logits: tf.zeros([2, 3]) })
          .maskEntries(list(1, 0))
          .logProb(0)
          .dataSync()[1],
      ).toBe(0);
    });
  });
});

describe("event and expand", () => {
  it("refuse what does not fit, by name and shape", () => {
    scope(() => {
      const d = normal(tf.zeros([3]), 1);
      expect(() => d.event(2)).toThrow(/^normal: event\(2\) needs that many batch axes, but the batch shape is \[3\]/);
      expect(() => d.event(-1)).toThrow(/^normal: event\(-1\)/);
      expect(() => d.event(0.5)).toThrow(/^normal: event\(0.5\)/);
      expect(() => d.expand([4])).toThrow(/^normal: batch shape \[3\] does not expand to \[4\]/);
      expect(() => d.expand([])).toThrow(/^normal: batch shape \[3\] does not expand to \[\]/);
      expect(() => d.expand([3, 1])).toThrow(/^normal: batch shape/);
      expect(() => d.mask(list(1, 0, 1)).expand([4])).toThrow(/normal/);
      expect(() => improper(real, [3]).expand([4])).toThrow(/^improper: batch shape \[3\] does not expand to \[4\]/);
    });
  });

  it("of an event again is one event of both axes", () => {
    scope(() => {
      const d = normal(tf.zeros([2, 3]), 1)
        .event(1)
        .event(1);
      expect([d.batchShape, d.eventShape, d.support.eventRank]).toEqual([[], [2, 3], 2]);
      expect(d.logProb(tf.zeros([5, 2, 3])).shape).toEqual([5]);
      expect(
        d
          .maskEntries(tf.zeros([2, 3]))
          .logProb(tf.fill([2, 3], Number.NaN))
          .dataSync()[0],
      ).toBe(0);
      expect([...d.support.check(tf.tensor2d([0, 0, 0, 0, Number.NaN, 0], [2, 3])).dataSync()]).toEqual([0]);
      expect(d.entropy().dataSync()[0]).toBeCloseTo(6 * 1.4189385, 4);
    });
  });
});

describe("transformed", () => {
  it("normal through exp is logNormal, in density, gradients, draws and support", () => {
    const values = [0, -1, Number.NaN, 1e-30, 0.3, 1, 7, 1e30];
    scope(() => {
      const [ours, theirs] = [transformed(normal(0.3, 0.7), expBijection), logNormal(0.3, 0.7)];
      const x = tf.tensor1d(values);
      expect([...ours.support.check(x).dataSync()]).toEqual([...theirs.support.check(x).dataSync()]);
      const [a, b] = [ours, theirs].map((d) => [...d.logProb(x).dataSync()]) as [number[], number[]];
      expect(a).toEqual(b);
      const inner = tf.tensor1d(values.slice(3));
      const [ga, gb] = [ours, theirs].map((d) => [
        ...tf
          .grad((v: tf.Tensor) => tf.sum(d.logProb(v)))(inner)
          .dataSync(),
      ]);
      expect(ga).toEqual(gb);
      expect([...ours.sample(key, [9]).dataSync()]).toEqual([...theirs.sample(key, [9]).dataSync()]);
    });
  });

  it("normal by an affine map is a normal", () => {
    scope(() => {
      const x = tf.linspace(-5, 5, 11);
      const ours = transformed(normal(1, 2), affine(3, -0.5)).logProb(x).dataSync();
      const theirs = normal(2.5, 1).logProb(x).dataSync();
      ours.forEach((v: number, i: number) => {
        expect(v).toBeCloseTo(theirs[i] as number, 5);
      });
    });
  });

  it("events to simplices and Cholesky factors has their shapes, and supports", () => {
    scope(() => {
      const onSimplex = transformed(normal(tf.zeros([4, 2]), 1).event(1), stickBreaking);
      expect([onSimplex.batchShape, onSimplex.eventShape, onSimplex.support.eventRank]).toEqual([[4], [3], 1]);
      const y = onSimplex.sample(key, [6]);
      expect(y.shape).toEqual([6, 4, 3]);
      expect(tf.min(tf.cast(simplex.check(y), "int32")).dataSync()[0]).toBe(1);
      expect(tf.min(tf.cast(onSimplex.support.check(y), "int32")).dataSync()[0]).toBe(1);
      expect(onSimplex.logProb(y).shape).toEqual([6, 4]);
      const factor = transformed(normal(tf.zeros([4, 6]), 1).event(1), lowerCholeskyBijection);
      expect([factor.batchShape, factor.eventShape, factor.support.eventRank]).toEqual([[4], [3, 3], 2]);
      const l = factor.sample(key, [5]);
      expect(tf.min(tf.cast(lowerCholesky.check(l), "int32")).dataSync()[0]).toBe(1);
      expect(factor.support.check(l).shape).toEqual([5, 4]);
      expect(factor.logProb(l).shape).toEqual([5, 4]);
      expect(factor.support.bijection().unconstrainedShape([3, 3])).toEqual([6]);
    });
  });

  it("refuses discrete bases, and bijections of more axes than the base has", () => {
    scope(() => {
      expect(() => transformed(poisson(1), expBijection)).toThrow(/^transformed: poisson is discrete/);
      expect(() => transformed(normal(tf.zeros([3]), 1), stickBreaking)).toThrow(
        /^transformed: stick-breaking acts on 1 event axes; declare them with event\(n\)/,
      );
      expect(() => transformed(normal(0, 1), expBijection).mean()).toThrow(/its mean has no closed form/);
    });
  });

  it("detached stops the gradients of base and bijection, and keeps that of the value", () => {
    scope(() => {
      const x = tf.tensor1d([0.5, 1.5]);
      const slopes = (detached: boolean) =>
        tf
          .grads((v: tf.Tensor, loc: tf.Tensor, shift: tf.Tensor) => {
            const d = transformed(normal(loc, 1), affine(shift, 2));
            const logProb = (detached ? d.detach() : d).logProb(v);
            return tf.add(tf.sum(logProb), tf.mul(0, tf.add(loc, shift)));
          })([x, tf.scalar(0.2), tf.scalar(0.1)])
          .map((g) => [...g.dataSync()]);
      const [free, stopped] = [slopes(false), slopes(true)];
      expect(stopped).toEqual([free[0], [0], [0]]);
      expect(free[1]).not.toEqual([0]);
      expect(free[2]).not.toEqual([0]);
    });
  });
});

describe("improper and delta", () => {
  it("is flat inside and nothing outside, with no draws", () => {
    scope(() => {
      const d = improper(positive, [3]);
      expect([d.batchShape, d.eventShape]).toEqual([[3], []]);
      expect([...d.logProb(tf.tensor1d([1, -1, 1e30])).dataSync()]).toEqual([0, Number.NEGATIVE_INFINITY, 0]);
      expect(() => d.sample(key)).toThrow(
        /^improper: the flat measure on positive values has no draws; give initial values/,
      );
      expect(() => d.entropy()).toThrow(/^improper: .* has no entropy/);
      const onSimplex = improper(simplex, [2, 3]);
      expect([onSimplex.batchShape, onSimplex.eventShape]).toEqual([[2], [3]]);
      expect(onSimplex.logProb(tf.fill([2, 3], 1 / 3)).shape).toEqual([2]);
      expect(() => improper(simplex, [])).toThrow(/^improper: a value on the simplex needs 1 axes/);
      expect(improper(unitInterval, []).expand([4]).logProb(0.5).shape).toEqual([4]);
    });
  });

  it("have gradients in their value, all zero", () => {
    scope(() => {
      for (const d of [improper(positive, [2]), improper(simplex, [2]), delta(list(0.5, 0.5))]) {
        const slope = tf.grad((x: tf.Tensor) => tf.sum(d.logProb(x)))(tf.tensor1d([0.5, 0.5]));
        expect([...slope.dataSync()]).toEqual([0, 0]);
      }
    });
  });
});
