/**
 * One run, two engines: every method on every kind of model, op by op and compiled. The draws are the same, so that losses, parameters
 * and chains differ by rounding only; what cannot be compiled says why and gives the same result.
 */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { hostTensor } from "../../src/compiler/index.ts";
import { scope } from "../../src/core/scope.ts";
import { mapTree } from "../../src/core/tree.ts";
import {
  bernoulli,
  type Distribution,
  gamma,
  lowerCholesky,
  mixtureSameFamily,
  multivariateNormal,
  normal,
  positive,
} from "../../src/dist/index.ts";
import {
  type EngineChoice,
  type EngineInfo,
  elbo,
  factor,
  fitTilt,
  infer,
  iwae,
  langevin,
  model,
  ndarray,
  observe,
  param,
  plate,
  rootKey,
  sample,
  snis,
  TiltedError,
  type TrainOptions,
  tilt,
  train,
  useEngine,
} from "../../src/index.ts";
import type { Problem } from "../../src/inference/method/infer.ts";
import { adam, sgd } from "../../src/inference/optim/index.ts";
import { matchGuide } from "../../src/inference/problem/match-guide.ts";
import { aggregateBase, contrastive, posteriorRows } from "../../src/inference/tilt/index.ts";
import { compileBound } from "../../src/inference/vi/bound-program.ts";
import { boundParts, eagerPart } from "../../src/inference/vi/estimate-bound.ts";
import type { AnyModel } from "./known.ts";
import { conjugateModels } from "./known-conjugate.ts";
import { gaussianModels } from "./known-gaussian.ts";
import { summedModels } from "./known-summed.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const SEED = 7;
const DATA = Float32Array.from({ length: 60 }, (_, i) => 1.5 + Math.sin(3 * i));
const data = ndarray(DATA);

interface Fit {
  readonly history: { readonly train: readonly number[] };
  readonly params: { readonly [name: string]: { readonly data: ArrayLike<number> } };
  readonly engine: EngineInfo;
}

/** Rounding, grown over the steps of a run. */
const TOLERANCE = 2e-4;
const close = (a: ArrayLike<number>, b: ArrayLike<number>, what: string, tolerance = TOLERANCE) => {
  expect(a.length).toBe(b.length);
  const scale = Math.max(1, ...Array.from(b, Math.abs));
  Array.from(a).forEach((x, i) => {
    expect(Math.abs(x - (b[i] as number)) / scale, `${what} ${i}: ${x}, ${b[i]}`).toBeLessThan(tolerance);
  });
};

async function onBoth(run: (engine: EngineChoice) => Promise<Fit>): Promise<void> {
  const before = tf.memory().numTensors;
  const [eager, compiled] = [await run("wasm"), await run("compiled")];
  expect(eager.engine.compiled).toMatchObject({ used: false });
  expect(compiled.engine.compiled).toMatchObject({ used: true });
  expect(eager.history.train.length).toBeGreaterThan(3);
  close(compiled.history.train, eager.history.train, "loss");
  for (const [name, value] of Object.entries(eager.params)) close(compiled.params[name]?.data ?? [], value.data, name);
  expect(tf.memory().numTensors).toBe(before);
}

const common = { steps: 8, stepsPerEpoch: 1, optimizer: adam(0.02), boundDraws: 2 };
const seeded = (engine: EngineChoice) => ({ seed: SEED, engine });

/** A global and local latents, data in minibatches. */
const hierarchy = model(function* () {
  const mu = yield* sample("mu", normal(0, 3));
  yield* plate("data", DATA.length, { subsample: 16 }, function* (rows) {
    const z = yield* sample("z", normal(mu, 1));
    yield* observe("x", normal(z, 0.5), rows.gather(data));
  });
});
const hierarchyGuide = model(function* () {
  const [loc, spread] = [
    yield* param("loc", tf.scalar(0)),
    yield* param("spread", tf.scalar(1), { constraint: positive }),
  ];
  yield* sample("mu", normal(loc, spread));
  yield* plate("data", DATA.length, { subsample: 16 }, function* (rows) {
    const slope = yield* param("slope", tf.scalar(0.5));
    yield* sample("z", normal(tf.mul(slope, rows.gather(data)), 0.6));
  });
});

/** Data rows as a tensor that was there before, read with tf.gather. */
const gathered = (x: tf.Tensor) =>
  model(function* () {
    const mu = yield* sample("mu", normal(0, 3));
    yield* plate("data", DATA.length, { subsample: 16 }, function* (rows) {
      yield* observe("x", normal(mu, 1), tf.gather(x, rows.indices as unknown as number[]));
    });
  });
const rowGuide = model(function* () {
  yield* sample("mu", normal(yield* param("loc", tf.scalar(0)), 0.3));
});

/** Rows of latents. */
const rows = model(function* () {
  yield* plate("data", 12, function* (p) {
    const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
    yield* observe("x", normal(tf.sum(z, -1), 0.5), p.gather(ndarray(DATA.slice(0, 12))));
  });
});
const rowsGuide = model(function* () {
  yield* plate("data", 12, function* () {
    const loc = yield* param("loc", tf.zeros([12, 2]));
    const spread = yield* param("spread", tf.fill([2], 0.8), { constraint: positive });
    yield* sample("z", normal(loc, spread).event(1));
  });
});

/** A latent without a path: a coin for each row. */
const coins = model(function* () {
  yield* plate("data", 12, function* (p) {
    const c = yield* sample("c", bernoulli({ probs: 0.3 }));
    yield* observe("x", normal(tf.mul(c, 2), 0.7), p.gather(ndarray(DATA.slice(0, 12))));
  });
});
const coinsGuide = model(function* () {
  yield* plate("data", 12, function* () {
    yield* sample("c", bernoulli({ logits: yield* param("logits", tf.zeros([12])) }));
  });
});

describe("variational fits", () => {
  it.each([
    ["elbo, closed KL", elbo(hierarchyGuide, common)],
    ["elbo, sampled KL, three draws", elbo(hierarchyGuide, { ...common, kl: "sampled", particles: 3 })],
    ["elbo, stl", elbo(hierarchyGuide, { ...common, estimator: "stl" })],
    ["elbo, sgd with clipping", elbo(hierarchyGuide, { ...common, optimizer: sgd(1e-3), clip: { norm: 5 } })],
  ] as const)("%s", (_, method) => onBoth((engine) => infer(hierarchy, method, seeded(engine))));

  it.each([
    ["iwae", iwae(rowsGuide, 5, common)],
    ["iwae, dreg", iwae(rowsGuide, 5, { ...common, estimator: "dreg" })],
    ["elbo, stl", elbo(rowsGuide, { ...common, estimator: "stl" })],
  ] as const)("rows: %s", (_, method) => onBoth((engine) => infer(rows, method, seeded(engine))));

  it.each([
    ["running mean", elbo(coinsGuide, common)],
    ["no baseline", elbo(coinsGuide, { ...common, baseline: "none" })],
    ["leave one out", elbo(coinsGuide, { ...common, particles: 4 })],
    ["vimco", iwae(coinsGuide, 4, common)],
  ] as const)("score functions: %s", (_, method) => onBoth((engine) => infer(coins, method, seeded(engine))));

  it("rows read by tf.gather at the indices of a minibatch are those of the step", async () => {
    const x = tf.tensor(DATA);
    await onBoth((engine) => infer(gathered(x), elbo(rowGuide, common), seeded(engine)));
    x.dispose();
  });

  it("a tilted model", () =>
    onBoth((engine) =>
      infer(
        pipe(
          rows,
          tilt("z", (z) => tf.sum(tf.cos(z), -1)),
        ),
        elbo(rowsGuide, common),
        seeded(engine),
      ),
    ));

  it("a model with learnt parameters, a matrix of covariances and a factor", () => {
    const mixed = model(function* () {
      const noise = yield* param("noise", tf.scalar(0.4), { constraint: positive });
      const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
      yield* factor("soft", tf.neg(tf.sum(tf.abs(z), -1)));
      yield* observe("x", normal(tf.sum(z, -1), noise), 1.3);
    });
    const guide = model(function* () {
      const tril = tf.tensor([
        [1, 0],
        [0.3, 0.7],
      ]);
      yield* sample("z", multivariateNormal({ loc: yield* param("loc", tf.zeros([2])), scaleTril: tril }));
    });
    return onBoth((engine) => infer(mixed, elbo(guide, { ...common, kl: "sampled" }), seeded(engine)));
  });

  it("learnt matrices: a covariance in the model, a Cholesky factor in the guide", () => {
    const correlated = model(function* () {
      const log = yield* param("log", tf.tensor([0.1, -0.2]));
      const cross = tf.tensor([
        [0, 0.2],
        [0.2, 0],
      ]);
      const covariance = tf.add(tf.mul(tf.eye(2), tf.exp(log)), cross);
      const z = yield* sample("z", multivariateNormal({ loc: 0, covariance }));
      yield* observe("x", normal(tf.sum(z, -1), 0.5), 1.3);
    });
    const guide = model(function* () {
      const scaleTril = yield* param("tril", tf.eye(2), { constraint: lowerCholesky });
      yield* sample("z", multivariateNormal({ loc: yield* param("loc", tf.zeros([2])), scaleTril }));
    });
    return onBoth((engine) => infer(correlated, elbo(guide, { ...common, kl: "sampled" }), seeded(engine)));
  });

  it("in a thread of its own, a training gives the same bits", async () => {
    const run = (background: boolean) => infer(rows, elbo(rowsGuide, common), { ...seeded("compiled"), background });
    const [here, there] = [await run(false), await run(true)];
    expect(there.engine.compiled).toMatchObject({ used: true, runtime: "worker" });
    expect([...there.params.loc.data]).toEqual([...here.params.loc.data]);
    expect(there.history).toEqual(here.history);
  });

  it("validates op by op, and stops as before", () => {
    const method = elbo(rowsGuide, { ...common, steps: 12, stepsPerEpoch: 3, validation: { args: [] } });
    return onBoth((engine) => infer(rows, method, seeded(engine)));
  });
});

describe("fitTilt", () => {
  const energy = function* (z: tf.Tensor) {
    const w = yield* param(
      "w",
      tf.tensor([
        [0.1, -0.2, 0.3],
        [0.2, 0.1, -0.1],
      ]),
    );
    const v = yield* param("v", tf.tensor([[0.5], [-0.4], [0.2]]));
    return tf.reshape(tf.matMul(tf.tanh(tf.matMul(tf.reshape(z, [-1, 2]), w)), v), z.shape.slice(0, -1));
  };
  const target = ndarray(
    Float32Array.from({ length: 80 }, (_, i) => Math.sin(7 * i)),
    [40, 2],
  );
  const options = { steps: 12, every: 2, batch: 8, negatives: 32 };
  const base = (dist: () => Distribution): AnyModel =>
    model(function* () {
      yield* sample("z", dist());
    });
  const bases: readonly (readonly [string, AnyModel])[] = [
    ["a normal", base(() => normal(tf.zeros([2]), 1).event(1))],
    // Draws for which the sampler must see the parameters: made on the host for every step.
    [
      "a mixture",
      base(() =>
        mixtureSameFamily(
          tf.tensor([0.3, 0.7]),
          normal(
            tf.tensor([
              [-1, 0],
              [1, 0.5],
            ]),
            0.7,
          ).event(1),
        ),
      ),
    ],
    ["a gamma", base(() => gamma(tf.tensor([2, 3]), 1).event(1))],
  ];
  it.each(bases)("base: %s", (_, given) =>
    onBoth((engine) => infer(given, fitTilt("z", energy, target, options), seeded(engine))),
  );
  it("rows drawn from their posteriors at every step", () => {
    const posteriors = {
      loc: ndarray(
        Float32Array.from({ length: 80 }, (_, i) => Math.sin(i)),
        [40, 2],
      ),
      scale: ndarray(new Float32Array(80).fill(0.3), [40, 2]),
    };
    const rowsOf = posteriorRows(posteriors);
    return onBoth((engine) => infer(aggregateBase(posteriors), fitTilt("z", energy, rowsOf, options), seeded(engine)));
  });
  it("contrastive, folds", () =>
    onBoth((engine) =>
      infer(
        bases[0]?.[1] as AnyModel,
        fitTilt("z", energy, target, { ...options, folds: 3, objective: contrastive() }),
        seeded(engine),
      ),
    ));
});

describe("Langevin", () => {
  const models = [...gaussianModels(), ...conjugateModels(), ...summedModels()].filter((known) => known.continuous);
  /** What reads values of its own on the host, and so runs op by op. */
  it.each(models.map((known) => [known.name, known] as const))("%s", async (_, known) => {
    const before = tf.memory().numTensors;
    const run = (engine: EngineChoice) =>
      infer(known.model, langevin({ chains: 16, steps: 12, warmup: 0, stepSize: 0.02 }), seeded(engine));
    const [eager, compiled] = [await run("wasm"), await run("compiled")];
    expect(compiled.engine.compiled).toMatchObject({ used: true });
    for (const [name, draws] of Object.entries(eager.sites))
      close(compiled.sites[name]?.data ?? [], draws.data, name, 2e-3);
    expect(compiled.acceptance).toBeCloseTo(eager.acceptance, 2);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("in a thread of its own", () => {
  const tilted = pipe(
    model(function* () {
      yield* sample("z", normal(tf.zeros([2]), 1).event(1));
    }),
    tilt("z", (z) => tf.sum(tf.cos(z), -1)),
  );
  // Jumps between modes are made op by op there.
  it("Langevin gives the same chains", async () => {
    const run = (background: boolean) =>
      infer(tilted, langevin({ chains: 8, steps: 20, warmup: 10, jumpEvery: 7 }), {
        ...seeded("compiled"),
        background,
      });
    const [here, there] = [await run(false), await run(true)];
    expect(there.engine.compiled).toMatchObject({ used: true, runtime: "worker" });
    close(there.sites.z.data, here.sites.z.data, "z");
  });
  it("SNIS gives the same bits", async () => {
    const run = (background: boolean) =>
      infer(tilted, snis(250, { chunk: 100 }), { ...seeded("compiled"), background });
    const [here, there] = [await run(false), await run(true)];
    expect(there.engine.compiled).toMatchObject({ used: true, runtime: "worker" });
    expect([...there.logWeights.data]).toEqual([...here.logWeights.data]);
  });
});

describe("SNIS", () => {
  const models = [...gaussianModels(), ...conjugateModels(), ...summedModels()];
  it.each(models.map((known) => [known.name, known] as const))("%s", async (_, known) => {
    for (const proposal of [undefined, known.guide]) {
      const run = (engine: EngineChoice) =>
        infer(known.model, snis(300, { chunk: 100, ...(proposal && { proposal }) }), seeded(engine));
      const eager = await run("wasm");
      const compiled = await run("compiled").catch((error: unknown) => error);
      if (compiled instanceof TiltedError) {
        // Draws that depend on other draws through a sampler that must see its parameters.
        expect(compiled).toMatchObject({ code: "trace", message: expect.stringMatching(/is read/) });
        continue;
      }
      const found = compiled as typeof eager;
      expect(found.engine.compiled).toMatchObject({ used: true });
      close(found.logWeights.data, eager.logWeights.data, "log-weights");
      for (const [name, draws] of Object.entries(eager.sites))
        close(found.sites[name]?.data ?? [], draws.data, name, 1e-5);
    }
  });

  it("rows apart, in blocks", async () => {
    const run = (engine: EngineChoice) =>
      infer(rowModel, snis(200, { rows: "each", chunk: 50, resamples: 2 }), seeded(engine));
    const [eager, compiled] = [await run("wasm"), await run("compiled")];
    expect(compiled.engine.compiled).toMatchObject({ used: true });
    close(compiled.logWeights.data, eager.logWeights.data, "log-weights");
    close(compiled.sites.z.data, eager.sites.z.data, "z", 1e-5);
    close(compiled.mean("z").value.data, eager.mean("z").value.data, "mean");
  });
});

/** Rows in blocks of five: the last block is shorter. */
const rowModel = model(function* () {
  yield* plate("data", 23, { subsample: 5 }, function* (p) {
    const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
    yield* observe("x", normal(tf.sum(z, -1), 0.5), p.gather(ndarray(DATA.slice(0, 23))));
  });
});

describe("the estimate of a bound", () => {
  it("is the same compiled, part by part, at other parameters too", async () => {
    const [count, block, width] = [520, 100, 64];
    const x = ndarray(Float32Array.from({ length: count }, (_, i) => Math.sin(i)));
    const wide = model(function* () {
      yield* plate("data", count, { subsample: block }, function* (p) {
        const z = yield* sample("z", normal(0, 1));
        const w = yield* param("w", tf.fill([width, width], 0.01));
        const h = tf.tanh(tf.matMul(tf.mul(tf.expandDims(z, -1), tf.ones([width])), w));
        yield* observe("x", normal(tf.mean(h, -1), 0.5), p.gather(x));
      });
    });
    const narrow = model(function* () {
      yield* plate("data", count, { subsample: block }, function* () {
        yield* sample("z", normal(yield* param("loc", tf.scalar(0.2)), 0.8));
      });
    });
    const problem = { model: wide, args: [], key: rootKey(3), params: {} } as unknown as Problem;
    const paired = matchGuide(problem, narrow as unknown as Problem["model"]);
    const parts = boundParts(paired, { key: rootKey(4), k: 3, draws: 40, closed: false });
    // Enough repeats for the work to be worth it.
    const compiled = await compileBound(paired, { choice: "auto" }, parts, 1000);
    for (const shift of [0, 0.3]) {
      for (const part of [parts.first, parts.other, { ...parts.first, first: 700 }]) {
        const [found, wanted] = scope(() => {
          const params = mapTree(paired.params, (a) => tf.add(a.tensor(), shift));
          return [compiled.weights({ ...part, params }), eagerPart(paired, { ...part, params })] as const;
        });
        expect(found).toBeDefined();
        close(found as Float32Array, wanted, "log-weights", 1e-5);
      }
    }
    compiled.dispose();
    // The last rows are fewer: another shape, which is not that of the record.
    const [a, b] = [
      await infer(wide, elbo(narrow, { steps: 0, boundDraws: 30 }), { seed: SEED, engine: "wasm" }),
      await infer(wide, elbo(narrow, { steps: 0, boundDraws: 30 }), { seed: SEED }),
    ];
    expect(Math.abs(a.bound.value - b.bound.value)).toBeLessThan(1e-5 * Math.abs(a.bound.value));
  });
});

describe("what cannot be compiled", () => {
  const shapes = model(function* () {
    yield* sample("g", gamma(2, 1));
  });
  const gammaGuide = model(function* () {
    yield* sample("g", gamma(yield* param("shape", tf.scalar(2), { constraint: positive }), 1));
  });

  it("runs op by op under auto, which says why", async () => {
    const fit = await infer(shapes, elbo(gammaGuide, { steps: 120, boundDraws: 2 }), { seed: SEED });
    const eager = await infer(shapes, elbo(gammaGuide, { steps: 120, boundDraws: 2 }), { seed: SEED, engine: "wasm" });
    expect(fit.engine.compiled).toMatchObject({ used: false, reason: expect.stringMatching(/site "g".*read/) });
    expect([...fit.params.shape.data]).toEqual([...eager.params.shape.data]);
  });

  it("is an error under compiled, which names the site", async () => {
    const error = await infer(shapes, elbo(gammaGuide, { steps: 5 }), { seed: SEED, engine: "compiled" }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(TiltedError);
    expect(error).toMatchObject({ code: "trace", site: "g" });
  });

  const base: TrainOptions = {
    params: { w: ndarray(Float32Array.of(1, -1)) },
    loss: ({ w }) => tf.sum(tf.square(w as tf.Tensor)),
    optimizer: sgd(0.1),
    steps: 5,
    key: rootKey(1),
    engine: "compiled",
  };
  it.each<readonly [string, TrainOptions["loss"], RegExp]>([
    ["the step number", ({ w }, { step }) => tf.mul(tf.sum(w as tf.Tensor), step), /context\.step/],
    ["the words of the key", ({ w }, { key }) => tf.mul(tf.sum(w as tf.Tensor), key.lo), /words of its key/],
    ["tf.randomNormal", ({ w }) => tf.sum(tf.mul(w as tf.Tensor, tf.randomNormal([2]))), /random numbers of its own/],
    ["a value", ({ w }) => tf.mul(tf.sum(w as tf.Tensor), (w as tf.Tensor).dataSync()[0] as number), /is read/],
  ])("%s", async (_, loss, message) => {
    const before = tf.memory().numTensors;
    const error = await train({ ...base, loss }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "trace", message: expect.stringMatching(message) });
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.getBackend()).toBe("wasm");
    const fit = await train({ ...base, loss, steps: 120, engine: "auto", optimizer: sgd(1e-12) });
    expect(fit.compiled).toMatchObject({ used: false, reason: expect.stringMatching(message) });
  });

  it("numbers of the step go in by hostTensor, and state by a function", async () => {
    const loss: TrainOptions["loss"] = ({ w }, context) => {
      const rate = hostTensor(() => Float32Array.of(1 / (1 + context.step), context.carry.seen?.data[0] ?? 0), [2]);
      const seen = () => ({ seen: ndarray(Float32Array.of(context.step + 0.5)) });
      return { loss: tf.sum(tf.mul(rate, tf.square(w as tf.Tensor))), carry: seen };
    };
    const carry = { seen: ndarray(Float32Array.of(0)) };
    const runs = [];
    for (const engine of ["wasm", "compiled"] as const)
      runs.push(await train({ ...base, loss, carry, engine, optimizer: sgd(0.01), steps: 6 }));
    const [eager, compiled] = runs as [Awaited<ReturnType<typeof train>>, Awaited<ReturnType<typeof train>>];
    expect(compiled.compiled.used).toBe(true);
    close(compiled.history.train, eager.history.train, "loss");
    expect(compiled.state.carry.seen?.data).toEqual(eager.state.carry.seen?.data);
  });

  it("short runs do not compile under auto", async () => {
    const fit = await train({ ...base, engine: "auto" });
    expect(fit.compiled).toMatchObject({ used: false, reason: expect.stringMatching(/5 steps do not repay/) });
  });

  it("a loss that diverges says so as before", async () => {
    // Downhill without end: w³ at a negative w.
    const loss: TrainOptions["loss"] = ({ w }) => tf.sum(tf.pow(w as tf.Tensor, 3));
    const error = await train({ ...base, loss, optimizer: sgd(1), steps: 50 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "non-finite", message: expect.stringMatching(/at step/) });
  });

  it("a parameter out of its range is an error of the distribution, as before", async () => {
    const loss: TrainOptions["loss"] = ({ w }) => tf.sum(tf.neg(normal(0, w as tf.Tensor).logProb(0)));
    const error = await train({
      ...base,
      loss,
      params: { w: ndarray(Float32Array.of(0.3)) },
      optimizer: sgd(0.2),
    }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "parameter", message: expect.stringMatching(/scale must be positive/) });
  });

  it("runs of one seed give one result, bit for bit", async () => {
    const run = () => infer(hierarchy, elbo(hierarchyGuide, { ...common, steps: 120 }), { seed: SEED });
    const [a, b] = [await run(), await run()];
    expect(a.engine.compiled?.used).toBe(true);
    expect([...a.params.loc.data]).toEqual([...b.params.loc.data]);
    expect(a.history).toEqual(b.history);
  });
});
