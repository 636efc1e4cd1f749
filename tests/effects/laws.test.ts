/** The laws of handlers, as properties over random programs. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { type NdArray, ndarray } from "../../src/core/array.ts";
import { exponential, normal } from "../../src/dist/index.ts";
import { deterministic, type Effect, factor, type Model, model, observe, sample } from "../../src/effects/effects.ts";
import {
  block,
  condition,
  intervene,
  mask,
  replay,
  scale,
  scope,
  seed,
  substitute,
  tilt,
  uncondition,
} from "../../src/effects/handlers.ts";
import { plate } from "../../src/effects/plate.ts";
import { predictive } from "../../src/effects/predictive.ts";
import { logDensities, logDensity, trace } from "../../src/effects/trace.ts";
import { useEngine } from "../../src/engine/engine.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const data = fc.float({ min: -3, max: 3, noNaN: true });
const seeds = fc.integer({ min: 0, max: 1e9 });

/** Two latents, one of them in a plate, data, a factor. */
const example = model(function* (x: number) {
  const mu = yield* sample("mu", normal(0, 2));
  const s = yield* sample("s", exponential(1));
  yield* plate("rows", 3, function* () {
    const z = yield* sample("z", normal(mu, 1));
    yield* observe("x", normal(z, tf.add(s, 0.1)), x);
    yield* deterministic("twice", tf.mul(z, 2));
  });
  yield* factor("soft", tf.neg(tf.square(mu)));
  return "done";
});

/** Everything a trace says, as plain data. */
const facts = (t: ReturnType<typeof trace>) =>
  JSON.parse(
    JSON.stringify({ ...t }, (_, v) => (v instanceof Float32Array || v instanceof Int32Array ? Array.from(v) : v)),
  );

const run = (m: Model<[number], Effect, unknown>, x: number, s: number) => facts(trace(m, { args: [x], seed: s }));

describe("laws of handlers", () => {
  it("handlers on disjoint sites commute", () => {
    fc.assert(
      fc.property(data, data, seeds, (a, b, s) => {
        const left = pipe(example, condition({ mu: a }), intervene({ s: Math.abs(b) + 0.5 }));
        const right = pipe(example, intervene({ s: Math.abs(b) + 0.5 }), condition({ mu: a }));
        expect(run(left, a, s)).toEqual(run(right, a, s));
        const doubled = pipe(example, scale(2), block("z"), tilt("mu", tf.square));
        const swapped = pipe(example, block("z"), tilt("mu", tf.square), scale(2));
        // scale sees the tilt's factor only when it comes later: that one is not disjoint.
        expect(run(doubled, a, s).latents).toEqual(run(swapped, a, s).latents);
      }),
      { numRuns: 25 },
    );
  });

  it("replay of a trace reproduces its log-density, whatever the seed", () => {
    fc.assert(
      fc.property(data, seeds, seeds, (x, s, other) => {
        const t = trace(example, { args: [x], seed: s });
        const again = trace(pipe(example, replay(t)), { args: [x], seed: other });
        expect(facts(again)).toEqual(facts(t));
        expect(logDensity(example, t.latents, { args: [x] })).toBe(t.logDensity);
      }),
      { numRuns: 25 },
    );
  });

  it("condition then trace equals substitution", () => {
    fc.assert(
      fc.property(data, data, seeds, (x, v, s) => {
        const conditioned = trace(pipe(example, condition({ mu: v })), { args: [x], seed: s });
        const substituted = trace(pipe(example, substitute({ mu: v })), { args: [x], seed: s });
        expect(conditioned.logDensity).toBe(substituted.logDensity);
        expect(conditioned.latents.z.data).toEqual(substituted.latents.z.data);
        expect(Object.keys(conditioned.observed).sort()).toEqual(["mu", "x"]);
        expect("mu" in conditioned.latents).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  it("intervene drops the density of its site and cuts it from its causes", () => {
    fc.assert(
      fc.property(data, data, seeds, (x, v, s) => {
        const t = trace(pipe(example, intervene({ z: v })), { args: [x], seed: s });
        expect(Object.keys(t.logProbs).sort()).toEqual(["mu", "s", "soft", "x"]);
        expect(Array.from(t.deterministics.twice.data)).toEqual([0, 0, 0].map(() => Math.fround(2 * Math.fround(v))));
      }),
      { numRuns: 10 },
    );
  });

  it("nested programs behave as inlined", () => {
    const inner = model(function* () {
      return yield* sample("z", normal(1, 2));
    });
    const nested = model(function* () {
      const z = yield* inner();
      yield* observe("x", normal(z, 1), 0.5);
    });
    const inlined = model(function* () {
      const z = yield* sample("z", normal(1, 2));
      yield* observe("x", normal(z, 1), 0.5);
    });
    fc.assert(
      fc.property(seeds, (s) => {
        expect(facts(trace(nested, { seed: s }))).toEqual(facts(trace(inlined, { seed: s })));
      }),
      { numRuns: 10 },
    );
    const scoped = trace(pipe(nested, scope("a")), { seed: 1 });
    expect(Object.keys(scoped.logProbs)).toEqual(["a/z", "a/x"]);
  });

  it("names own randomness: adding or reordering sites moves no other draw", () => {
    const a = model(function* () {
      yield* sample("u", normal(0, 1));
      yield* sample("v", normal(0, 1));
    });
    const b = model(function* () {
      yield* sample("new", normal(0, 1));
      yield* sample("v", normal(0, 1));
      yield* sample("u", normal(0, 1));
    });
    fc.assert(
      fc.property(seeds, (s) => {
        const [ta, tb] = [trace(a, { seed: s }), trace(b, { seed: s })];
        expect(tb.latents.u.data).toEqual(ta.latents.u.data);
        expect(tb.latents.v.data).toEqual(ta.latents.v.data);
        expect(ta.latents.u.data).not.toEqual(ta.latents.v.data);
      }),
      { numRuns: 20 },
    );
  });

  it("the first n draws of 2n are the n draws", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 20 }), (s, n) => {
        const few = predictive(example, { args: [0], seed: s, draws: n });
        const many = predictive(example, { args: [0], seed: s, draws: 2 * n });
        for (const site of ["mu", "s", "z", "x", "twice"] as const) {
          expect(many[site].data.subarray(0, few[site].data.length)).toEqual(few[site].data);
        }
        expect(few.mu.shape).toEqual([n]);
        expect(few.z.shape).toEqual([n, 3]);
      }),
      { numRuns: 10 },
    );
  });

  it("a seed inside wins over a seed outside, and interleaved runs do not see each other", () => {
    const inner = pipe(example, seed(7));
    expect(run(inner, 1, 1)).toEqual(run(inner, 1, 2));
    // Two programs advanced in turns, each answered by its own handler's state.
    const count = () => {
      let n = 0;
      return (effect: Effect) =>
        (function* () {
          if (effect.kind === "sample") n += 1;
          return n;
        })();
    };
    const [p, q] = [example(0), example(0)];
    const [f, g] = [count(), count()];
    const answers: unknown[] = [];
    const [a, b] = [p.next(), q.next()];
    answers.push(
      f(a.value as Effect).next().value,
      f(a.value as Effect).next().value,
      g(b.value as Effect).next().value,
    );
    expect(answers).toEqual([1, 2, 1]);
    p.return("");
    q.return("");
  });

  it("mask and scale change what is counted, not what is drawn", () => {
    const t = trace(example, { args: [0.3], seed: 3 });
    const masked = trace(pipe(example, mask(0)), { args: [0.3], seed: 3 });
    expect(masked.logDensity).toBe(0);
    expect(masked.latents.z.data).toEqual(t.latents.z.data);
    const scaled = trace(pipe(example, scale(2), scale(1.5)), { args: [0.3], seed: 3 });
    expect(scaled.logDensity).toBeCloseTo(3 * t.logDensity, 3);
  });

  it("uncondition forgets the data", () => {
    const t = trace(pipe(example, uncondition()), { args: [0], seed: 1 });
    expect(Object.keys(t.observed)).toEqual([]);
    expect(t.latents.x.data.some((v) => v !== 0)).toBe(true);
  });

  it("a tilt is a factor of −E after its site, on latent and on data sites, one for each row", () => {
    const t = trace(example, { args: [0.5], seed: 4 });
    const onLatent = trace(
      pipe(
        example,
        tilt("z", (z) => tf.mul(z, 3)),
      ),
      { args: [0.5], seed: 4 },
    );
    expect(Array.from(onLatent.logProbs["tilt(z)"]?.data ?? [])).toEqual(
      Array.from(t.latents.z.data, (z) => Math.fround(-3 * z)),
    );
    expect(onLatent.normalized).toBe(false);
    const onData = trace(
      pipe(
        example,
        tilt("x", (x) => tf.mul(x, 2)),
      ),
      { args: [0.5], seed: 4 },
    );
    expect(onData.logDensity).toBeCloseTo(t.logDensity - 3, 4);
  });

  it("leaves no tensor behind, also when the model throws", () => {
    const before = tf.memory().numTensors;
    trace(example, { args: [0], seed: 1 });
    predictive(example, { args: [0], seed: 1, draws: 5 });
    const broken = model(function* () {
      const z = yield* sample("z", normal(0, 1));
      tf.mul(z, 2);
      throw new Error("mine");
    });
    let closed = false;
    const careful = model(function* () {
      try {
        yield* broken();
      } finally {
        closed = true;
      }
    });
    expect(() => trace(careful, { seed: 1 })).toThrow("mine");
    expect(closed).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
    expect(run(example, 1, 5)).toEqual(run(example, 1, 5));
  });
});

describe("logDensities", () => {
  it("is logDensity of every draw, plates and all", () => {
    const draws = predictive(example, { args: [0.2], seed: 5, draws: 7 });
    const many = logDensities(example, { mu: draws.mu, s: draws.s, z: draws.z }, { args: [0.2] });
    const row = (a: NdArray, i: number) =>
      ndarray(a.data.slice(i * (a.data.length / 7), (i + 1) * (a.data.length / 7)), a.shape.slice(1));
    for (let i = 0; i < 7; i++) {
      const one = logDensity(
        example,
        { mu: row(draws.mu, i), s: row(draws.s, i), z: row(draws.z, i) },
        { args: [0.2] },
      );
      expect(many.data[i]).toBeCloseTo(one, 3);
    }
    expect(many.shape).toEqual([7]);
  });
});
