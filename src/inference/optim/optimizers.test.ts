import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ndarray } from "../../core/array.ts";
import { TiltedError } from "../../core/errors.ts";
import type { ArrayTree } from "../../core/tree.ts";
import { type Clip, clipGradients } from "./clip.ts";
import { flatten, layoutOf, unflatten } from "./flat.ts";
import { adam, adamw, copyState, type Optimizer, type OptimizerState, sgd } from "./optimizers.ts";
import { constant, cosineDecay, exponentialDecay, linearWarmup, piecewise } from "./schedules.ts";

const tree = (a: readonly number[], b: readonly number[]) => ({
  a: ndarray(Float32Array.from(a)),
  b: ndarray(Float32Array.from(b), [b.length]),
});

/** One update on copies. */
function updated(optimizer: Optimizer, state: OptimizerState, params: ArrayTree, grads: ArrayTree) {
  const layout = layoutOf(params);
  const buffer = flatten(params, layout);
  const { step, slots } = optimizer.update(copyState(state), buffer, flatten(grads, layout), layout);
  return { state: { step, slots }, params: unflatten(buffer, layout) };
}

/** The updates as printed in the papers, one number at a time, in double precision. */
const reference = {
  adam(gradients: readonly number[], p: number, rate: number, decay = 0): number {
    let [m, v] = [0, 0];
    gradients.forEach((g, i) => {
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      const mHat = m / (1 - 0.9 ** (i + 1));
      const vHat = v / (1 - 0.999 ** (i + 1));
      p -= rate * (mHat / (Math.sqrt(vHat) + 1e-8) + decay * p);
    });
    return p;
  },
  momentum(gradients: readonly number[], p: number, rate: number, nesterov: boolean): number {
    let u = 0;
    for (const g of gradients) {
      u = 0.9 * u + g;
      p -= rate * (nesterov ? g + 0.9 * u : u);
    }
    return p;
  },
};

const gradients = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 8 });

function follow(optimizer: Optimizer, steps: readonly number[], start: number): number {
  let params: ArrayTree = tree([start], [0, 0]);
  let state = optimizer.init(params);
  for (const g of steps) {
    const next = updated(optimizer, state, params, tree([g], [0, 0]));
    state = next.state;
    params = next.params;
  }
  return params.a?.data[0] as number;
}

describe("optimisers", () => {
  it("follow the published updates", () => {
    fc.assert(
      fc.property(gradients, fc.double({ min: -3, max: 3, noNaN: true }), (steps, start) => {
        expect(follow(adam(0.01), steps, start)).toBeCloseTo(reference.adam(steps, start, 0.01), 4);
        expect(follow(adamw(0.01, { weightDecay: 0.3 }), steps, start)).toBeCloseTo(
          reference.adam(steps, start, 0.01, 0.3),
          4,
        );
        expect(follow(sgd(0.01, { momentum: 0.9 }), steps, start)).toBeCloseTo(
          reference.momentum(steps, start, 0.01, false),
          4,
        );
        expect(follow(sgd(0.01, { momentum: 0.9, nesterov: true }), steps, start)).toBeCloseTo(
          reference.momentum(steps, start, 0.01, true),
          4,
        );
      }),
    );
  });

  it("write parameters and slots where they are, and nothing else", () => {
    const params = tree([1, 2], [3]);
    const layout = layoutOf(params);
    const [buffer, grads] = [flatten(params, layout), Float32Array.of(1, -1, 1)];
    const optimizer = adam(0.1);
    const zero = optimizer.init(params);
    const one = optimizer.update(zero, buffer, grads, layout);
    expect(one.step).toBe(1);
    expect(one.slots.m).toBe(zero.slots.m);
    expect([...(zero.slots.m as Float32Array)].map(Math.sign)).toEqual([1, -1, 1]);
    expect([...buffer]).toEqual([expect.closeTo(0.9, 5), expect.closeTo(2.1, 5), expect.closeTo(2.9, 5)]);
    expect([...params.a.data]).toEqual([1, 2]);
    expect([...grads]).toEqual([1, -1, 1]);
  });

  it("may be stored", () => {
    const params = tree([1, 2], [3]);
    const grads = tree([1, 1], [1]);
    const optimizer = adam(0.1);
    const one = updated(optimizer, optimizer.init(params), params, grads);
    const again = updated(optimizer, structuredClone(one.state), one.params, grads);
    const straight = updated(optimizer, one.state, one.params, grads);
    expect(again.state).toEqual(straight.state);
    expect(again.params.a?.data).toEqual(straight.params.a?.data);
    expect(one.params.b?.data[0]).toBeCloseTo(2.9, 5);
  });

  it("follow a schedule by their own count of steps", () => {
    // Momentum 0 and gradient 1: the parameter goes down by the sum of the rates.
    expect(
      follow(
        sgd(
          piecewise([
            [0, 1],
            [2, 0.25],
          ]),
        ),
        [1, 1, 1, 1],
        0,
      ),
    ).toBeCloseTo(-2.5, 6);
  });

  it("spare what should not decay", () => {
    const params = tree([1], [1]);
    const optimizer = adamw(0.1, { weightDecay: 1, decays: (name) => name === "a" });
    const next = updated(optimizer, optimizer.init(params), params, tree([0], [0]));
    expect(next.params.a?.data[0]).toBeCloseTo(0.9, 6);
    expect(next.params.b?.data[0]).toBe(1);
  });

  it("refuse options out of range", () => {
    for (const wrong of [
      () => adam(-1),
      () => adam(1, { beta1: 1 }),
      () => adam(1, { epsilon: 0 }),
      () => adamw(1, { weightDecay: -1 }),
      () => sgd(1, { momentum: 1 }),
    ])
      expect(wrong).toThrow(TiltedError);
  });
});

it("trees of another layout are refused by name", () => {
  const params = tree([1], [1]);
  const layout = layoutOf(params);
  const { a } = params;
  expect(() => flatten({ a }, layout)).toThrow(/parameter "b" is missing/);
  expect(() => flatten({ ...params, c: a }, layout)).toThrow(/unknown parameter "c"/);
  expect(() => flatten(tree([1, 2], [1]), layout)).toThrow(/"a" has shape \[2\], expected \[1\]/);
});

describe("schedules", () => {
  it("have the values of their formulas", () => {
    expect(constant(0.3)(17)).toBe(0.3);
    const cosine = cosineDecay({ from: 1, to: 0.2, steps: 10 });
    expect([0, 5, 10, 99].map((s) => cosine(s))).toEqual([1, expect.closeTo(0.6, 12), 0.2, 0.2]);
    expect(exponentialDecay({ from: 2, factor: 0.5, steps: 10 })(25)).toBeCloseTo(2 * 0.5 ** 2.5, 12);
    const warm = linearWarmup(4, cosineDecay({ from: 1, steps: 10 }));
    expect([0, 1, 3, 4, 14].map((s) => warm(s))).toEqual([0.25, 0.5, 1, 1, expect.closeTo(0, 12)]);
    const steps = piecewise([
      [0, 1],
      [5, 0.1],
    ]);
    expect([0, 4, 5, 50].map((s) => steps(s))).toEqual([1, 1, 0.1, 0.1]);
  });

  it("refuse nonsense", () => {
    expect(() => constant(-1)).toThrow(/non-negative/);
    expect(() => cosineDecay({ from: 1, steps: 0 })).toThrow(/steps/);
    expect(() => piecewise([[1, 1]])).toThrow(/begin at 0/);
    expect(() =>
      piecewise([
        [0, 1],
        [0, 1],
      ]),
    ).toThrow(/increase/);
  });
});

describe("clipping", () => {
  const clipped = (values: number[], clip: Clip) => {
    const grads = Float32Array.from(values);
    const norm = clipGradients(grads, layoutOf({ w: ndarray(grads) }), clip);
    return { norm, grads: [...grads] };
  };

  it("shortens to the norm, keeping the direction, and only then", () => {
    expect(clipped([3, 4], { norm: 1 })).toEqual({ norm: 5, grads: [expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)] });
    expect(clipped([3, 4], { norm: 6 })).toEqual({ norm: 5, grads: [3, 4] });
    // In float32 the squares would overflow.
    expect(clipped([3e30, 4e30], { norm: 1 }).grads[1]).toBeCloseTo(0.8, 6);
  });

  it("bounds values", () => {
    expect(clipped([-3, 0.5], { value: 1 }).grads).toEqual([-1, 0.5]);
    expect(clipped([-3, 4], { value: 2, norm: 1 }).grads[1]).toBeCloseTo(Math.SQRT1_2, 6);
  });

  it("refuses what is not finite, whatever the limits", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const clip of [{}, { norm: 1 }, { value: 1 }]) {
        expect(() => clipped([1, bad], clip)).toThrow(/the gradient of parameter "w" holds (NaN|Infinity)/);
      }
    }
  });
});
