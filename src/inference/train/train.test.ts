import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type NdArray, ndarray } from "../../core/array.ts";
import { TiltedError } from "../../core/errors.ts";
import { rootKey, threefry2x32 } from "../../core/key.ts";
import type { TensorTree } from "../../core/tree.ts";
import { useEngine } from "../../engine/engine.ts";
import { adam, adamw, sgd } from "../optim/optimizers.ts";
import type { StepContext } from "./loss.ts";
import { ring } from "./recovery.ts";
import { train } from "./train.ts";
import type { TrainOptions, TrainState } from "./train-types.ts";

beforeAll(() => useEngine("wasm"));

const at = (...values: number[]): NdArray => ndarray(Float32Array.from(values));
const noise = ({ key }: StepContext) => threefry2x32(key, 0, 0)[0] / 2 ** 32 - 0.5;
/** (w − 1)² + noise·w: a different gradient at every step. */
const noisy = ({ w }: TensorTree, context: StepContext) =>
  tf.sum(tf.add(tf.square(tf.sub(w as tf.Tensor, 1)), tf.mul(w as tf.Tensor, noise(context))));
const base: TrainOptions = { loss: noisy, params: { w: at(3, -2) }, optimizer: adam(0.05), steps: 60, key: rootKey(1) };

const failure = async (options: Partial<TrainOptions>) => {
  const before = tf.memory().numTensors;
  const error = await train({ ...base, ...options }).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(tf.memory().numTensors).toBe(before);
  expect(error).toBeInstanceOf(TiltedError);
  return error as TiltedError;
};

describe("train", () => {
  it("minimises, leaves its arguments alone and no tensor behind", async () => {
    const before = tf.memory().numTensors;
    const params = { w: at(3, -2) };
    const fit = await train({
      ...base,
      params,
      loss: ({ w }) => tf.sum(tf.square(tf.sub(w as tf.Tensor, 1))),
      steps: 800,
    });
    expect(tf.memory().numTensors).toBe(before);
    expect([...params.w.data]).toEqual([3, -2]);
    for (const w of fit.params.w?.data ?? []) expect(w).toBeCloseTo(1, 4);
    expect(fit).toMatchObject({ steps: 800, epochs: 800, stopped: "finished", bestEpoch: 799 });
    expect(fit.history.train[0]).toBeCloseTo(4 + 9, 5);
  });

  it("gives the same bits for the same key, and other bits for another", async () => {
    const [a, b, c] = [await train(base), await train(base), await train({ ...base, key: rootKey(2) })];
    expect(a.params.w?.data).toEqual(b.params.w?.data);
    expect(a.history).toEqual(b.history);
    expect(a.params.w?.data).not.toEqual(c.params.w?.data);
  });

  it.each([6, 7, 25])("resumes bit for bit from step %i, also in the middle of an epoch", async (cut) => {
    const options: TrainOptions = {
      ...base,
      stepsPerEpoch: 6,
      carry: { count: at(0) },
      loss: (params, context) => ({
        loss: tf.add(noisy(params, context), context.carry.count?.data[0] as number),
        carry: { count: at((context.carry.count?.data[0] as number) + 1) },
      }),
      validate: ({ w }, context) => tf.sum(tf.square(tf.add(w as tf.Tensor, noise(context)))),
    };
    const whole = await train(options);
    const part = await train({ ...options, steps: cut });
    // Through a clone, as a checkpoint on disk would be.
    const { params, best, ...rest } = part.state;
    const copy = (tree: TrainState["params"]) =>
      Object.fromEntries(Object.entries(tree).map(([n, a]) => [n, ndarray(a.data.slice(), a.shape)]));
    const stored: TrainState = { ...rest, params: copy(params), best: best && { ...best, params: copy(best.params) } };
    const resumed = await train({ ...options, params: {}, from: stored });
    expect(resumed.params.w?.data).toEqual(whole.params.w?.data);
    expect(resumed.history).toEqual(whole.history);
    expect(resumed.state.optimizer).toEqual(whole.state.optimizer);
    expect(resumed.bestEpoch).toBe(whole.bestEpoch);
  });

  it("stops early and restores a true copy of the best parameters", async () => {
    // Training pulls w to 1, validation is best at 2: it falls, then rises.
    const seen: number[] = [];
    const fit = await train({
      params: { w: at(3) },
      loss: ({ w }) => tf.sum(tf.square(tf.sub(w as tf.Tensor, 1))),
      validate: ({ w }) => {
        seen.push((w as tf.Tensor).dataSync()[0] as number);
        return tf.sum(tf.square(tf.sub(w as tf.Tensor, 2)));
      },
      optimizer: sgd(0.02),
      epochs: 100,
      stepsPerEpoch: 2,
      patience: 3,
      key: rootKey(1),
    });
    const distances = seen.map((w) => Math.abs(w - 2));
    const best = distances.indexOf(Math.min(...distances));
    expect(fit.stopped).toBe("early");
    expect(fit.bestEpoch).toBe(best);
    expect(fit.epochs).toBe(best + 1 + 3);
    expect(fit.steps).toBe(2 * fit.epochs);
    expect(fit.params.w?.data[0]).toBe(seen[best]);
    expect(fit.state.params.w?.data[0]).toBe(seen.at(-1));
    expect(fit.params.w?.data.buffer).not.toBe(fit.state.params.w?.data.buffer);
  });

  it("averages the loss over epochs, and closes a last one that is cut short", async () => {
    let n = 0;
    const fit = await train({
      ...base,
      loss: ({ w }) => tf.add(tf.mul(0, tf.sum(w as tf.Tensor)), n++),
      steps: 5,
      stepsPerEpoch: 2,
    });
    expect(fit.history.train).toEqual([0.5, 2.5, 4]);
    expect(fit.epochs).toBe(3);
  });

  it("does nothing in no steps", async () => {
    const fit = await train({ ...base, steps: 0 });
    expect(fit).toMatchObject({ steps: 0, epochs: 0, bestEpoch: -1, history: { train: [], validation: [] } });
    expect([...(fit.params.w?.data ?? [])]).toEqual([3, -2]);
  });

  it("tells callbacks what happened, with a copy of the state", async () => {
    const states: TrainState[] = [];
    const ticks: number[] = [];
    await train({
      ...base,
      steps: 4,
      stepsPerEpoch: 2,
      onEpoch: (info) => void states.push(info.state()),
      tick: async ({ step, total, metrics }) => {
        ticks.push(step / total);
        expect(metrics.loss).toBeTypeOf("number");
      },
    });
    expect(ticks).toEqual([0.25, 0.5, 0.75, 1]);
    expect(states.map((s) => s.step)).toEqual([2, 4]);
    expect(states[0]?.params.w?.data).not.toEqual(states[1]?.params.w?.data);
  });

  it("lets the event loop live", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const busy = ({ w }: TensorTree) => {
      const end = performance.now() + 2;
      while (performance.now() < end);
      return tf.sum(w as tf.Tensor);
    };
    await train({ ...base, loss: busy, steps: 60 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  it("stops when the tick throws, and leaves nothing behind", async () => {
    const error = await failure({
      tick: async ({ step }) => {
        if (step === 3) throw new TiltedError("aborted", "stop");
      },
    });
    expect(error.code).toBe("aborted");
  });

  it("names what is not finite", async () => {
    const nan = await failure({ loss: ({ w }) => tf.mul(Number.NaN, tf.sum(w as tf.Tensor)) });
    expect(nan).toMatchObject({ code: "non-finite" });
    expect(nan.message).toContain("the loss is NaN at step 0");
    // √w is finite at 0, its derivative is not.
    const infinite = await failure({
      params: { fine: at(1), w: at(0) },
      loss: ({ w, fine }) => tf.add(tf.sum(tf.sqrt(w as tf.Tensor)), tf.sum(fine as tf.Tensor)),
    });
    expect(infinite).toMatchObject({ code: "non-finite", site: "w" });
    expect((await failure({ validate: () => Number.NaN })).code).toBe("non-finite");
  });

  // A gradient times a number that only its derivative sees.
  const sloped = (w: tf.Tensor, slope: readonly number[]) =>
    tf.sum(
      tf.customGrad((x) => ({
        value: tf.zerosLike(x as tf.Tensor),
        gradFunc: (dy: tf.Tensor) => tf.mul(dy, tf.tensor1d([...slope])),
      }))(w),
    );
  const optimizers = { adam: adam(0.01), adamw: adamw(0.01), sgd: sgd(0.01), momentum: sgd(0.01, { momentum: 0.9 }) };

  it.each(Object.entries(optimizers))(
    "finds an entry that is not finite, wherever it is, with %s",
    async (_, optimizer) => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const place of [0, 3, 4, 6]) {
          const slope = Array.from({ length: 7 }, (_, i) => (i === place ? bad : 1));
          const loss: TrainOptions["loss"] = ({ v, w }, { step }) =>
            tf.add(tf.sum(v as tf.Tensor), sloped(w as tf.Tensor, step === 2 ? slope : slope.map(() => 1)));
          const params = { v: at(1, 2, 3, 4, 5), w: at(1, 2, 3, 4, 5, 6, 7) };
          for (const recover of [false, true]) {
            // Within the first epoch there is nothing to go back to.
            const error = await failure({ params, optimizer, loss, recover, stepsPerEpoch: 10, engine: "wasm" });
            expect(error).toMatchObject({ code: "non-finite", site: "w" });
            expect(error.message).toContain(`"w" holds ${bad} at step 2`);
          }
        }
      }
    },
  );

  it("goes on where only the square of a gradient is beyond single precision", async () => {
    const slope = [1e25, 1, 1];
    const fit = await train({
      ...base,
      params: { w: at(1, 1, 1) },
      loss: ({ w }) => sloped(w as tf.Tensor, slope),
      steps: 5,
      engine: "wasm",
    });
    expect(fit.stopped).toBe("finished");
    expect(fit.params.w?.data.every(Number.isFinite)).toBe(true);
    expect(fit.params.w?.data[1]).toBeLessThan(1);
  });

  describe("a run that diverges, with recover", () => {
    /** Finite until step 25, NaN from then on. */
    const breaks = (params: TensorTree, context: StepContext): tf.Tensor =>
      tf.mul(noisy(params, context), context.step < 25 ? 1 : Number.NaN);
    const run = { ...base, loss: breaks, stepsPerEpoch: 10, recover: true, engine: "wasm" } as const;

    it("ends with the parameters of the best epoch, and says where it broke", async () => {
      const twenty = await train({ ...run, loss: noisy, steps: 20 });
      const fit = await train(run);
      expect(fit).toMatchObject({ stopped: "diverged", bestEpoch: 1, steps: 25 });
      expect(fit.message).toContain("NaN at step 25");
      expect(fit.params.w?.data).toEqual(twenty.params.w?.data);
    });

    it("does not go back to an epoch that was worse already", async () => {
      const ten = await train({ ...run, loss: noisy, steps: 10 });
      const rising: TrainOptions["loss"] = (params, context) =>
        tf.add(breaks(params, context), context.step < 10 ? 0 : 1000);
      const fit = await train({ ...run, loss: rising });
      expect(fit.bestEpoch).toBe(0);
      expect(fit.params.w?.data).toEqual(ten.params.w?.data);
    });

    it("gives the state before the step that broke", async () => {
      const nineteen = await train({ ...run, loss: noisy, steps: 19 });
      const breaksLater: TrainOptions["loss"] = (params, context) => {
        const w = params.w as tf.Tensor;
        return tf.add(noisy(params, context), context.step < 19 ? 0 : sloped(w, [Number.NaN, 1]));
      };
      const fit = await train({ ...run, loss: breaksLater });
      expect(fit).toMatchObject({ stopped: "diverged", steps: 19 });
      expect(fit.state.params.w?.data).toEqual(nineteen.params.w?.data);
      expect(fit.state.optimizer).toEqual(nineteen.state.optimizer);
    });

    it("goes by validation where there is one", async () => {
      const fit = await train({ ...run, validate: (_, { epoch }) => epoch });
      expect(fit).toMatchObject({ stopped: "diverged", bestEpoch: 0 });
    });

    it("throws when there is nothing to go back to, and on any other error", async () => {
      const early: TrainOptions["loss"] = ({ w }) => tf.mul(Number.NaN, tf.sum(w as tf.Tensor));
      expect((await failure({ ...run, loss: early })).code).toBe("non-finite");
      const tick = async ({ step }: { step: number }) => {
        if (step === 15) throw new TiltedError("aborted", "stop");
      };
      expect((await failure({ ...run, tick })).code).toBe("aborted");
    });
  });

  describe("before every step", () => {
    it("is awaited, outside every scope, with the parameters of the run as they are", async () => {
      const seen: number[][] = [];
      let factor = 0;
      const fit = await train({
        ...base,
        steps: 3,
        optimizer: sgd(0.5),
        async before(step, params) {
          await Promise.resolve();
          seen.push([step, params.w?.data[0] as number, tf.engine().state.numBytes]);
          factor = step + 1;
        },
        // d/dw = factor: w goes down by half of it.
        loss: ({ w }) => tf.mul(factor, tf.sum(w as tf.Tensor)),
      });
      expect(seen.map(([step, w]) => [step, w])).toEqual([
        [0, 3],
        [1, 2.5],
        [2, 1.5],
      ]);
      expect(new Set(seen.map(([, , bytes]) => bytes)).size).toBe(1);
      expect(fit.params.w?.data[0]).toBe(0);
    });

    it("is not called where no step is to come, and what it throws ends the run", async () => {
      const before = (step: number) => {
        if (step === 2) throw new TiltedError("aborted", "no more");
      };
      expect((await train({ ...base, steps: 2, before })).steps).toBe(2);
      expect((await failure({ before })).code).toBe("aborted");
    });
  });

  describe("metrics of a loss", () => {
    const options: TrainOptions = {
      ...base,
      steps: 120,
      stepsPerEpoch: 5,
      loss: ({ w }) => ({
        loss: tf.sum(tf.square(w as tf.Tensor)),
        metrics: { first: tf.sum(tf.slice(w as tf.Tensor, 0, 1)), size: tf.scalar(2) },
      }),
    };

    it.each(["wasm", "compiled"] as const)(
      "are shown after every step and averaged over epochs: %s",
      async (engine) => {
        const shown: number[] = [];
        const means: number[] = [];
        const fit = await train({
          ...options,
          engine,
          tick: async ({ metrics }) => void shown.push(metrics.first as number),
          onEpoch: ({ metrics }) => {
            means.push(metrics.first as number);
            expect(metrics.size).toBe(2);
          },
        });
        expect(fit.compiled.used).toBe(engine === "compiled");
        expect(shown[0]).toBe(3);
        expect(means).toHaveLength(24);
        means.forEach((mean, e) => {
          const part = shown.slice(5 * e, 5 * e + 5);
          expect(mean).toBeCloseTo(part.reduce((a, b) => a + b, 0) / 5, 12);
        });
      },
    );

    it("go on in a resumed epoch", async () => {
      const means: number[][] = [];
      const run = async (more: Partial<TrainOptions>) => {
        means.push([]);
        return train({ ...options, onEpoch: (info) => void means.at(-1)?.push(info.metrics.first as number), ...more });
      };
      await run({ steps: 20 });
      const part = await run({ steps: 13 });
      await run({ steps: 20, from: part.state });
      expect(means[2]).toEqual(means[0]?.slice(2));
    });
  });

  describe("a stop rule", () => {
    const stop: TrainOptions["stop"] = ({ epoch }) => (epoch === 2 ? "enough" : undefined);

    it("ends the run as diverged, with its reason", async () => {
      const ticks: number[] = [];
      const tick = async ({ step, total }: { step: number; total: number }) => void ticks.push(step / total);
      const fit = await train({ ...base, stepsPerEpoch: 10, stop, tick });
      expect(fit).toMatchObject({ stopped: "diverged", message: "enough", steps: 30, bestStep: 30 });
      expect(ticks.at(-1)).toBe(1);
    });

    it("gives what recovery chooses, which was not shown the last state", async () => {
      const good = ring(2);
      const fit = await train({ ...base, stepsPerEpoch: 10, stop, recover: good });
      expect(good.entries.map(({ step }) => step)).toEqual([10, 20]);
      const twenty = await train({ ...base, stepsPerEpoch: 10, steps: 20 });
      expect(fit).toMatchObject({ stopped: "diverged", bestEpoch: 1, bestStep: 20 });
      expect(fit.params.w?.data).toEqual(twenty.params.w?.data);
    });
  });

  it("a ring of states knows the start, but an error in the first step is thrown", async () => {
    const breaksAt =
      (at: number): TrainOptions["loss"] =>
      (params, context) =>
        tf.mul(noisy(params, context), context.step < at ? 1 : Number.NaN);
    const run = { ...base, stepsPerEpoch: 10, engine: "wasm" } as const;
    const fit = await train({ ...run, recover: ring(3), loss: breaksAt(4) });
    expect(fit).toMatchObject({ stopped: "diverged", bestEpoch: -1, bestStep: 0, steps: 4 });
    expect([...(fit.params.w?.data ?? [])]).toEqual([3, -2]);
    expect((await failure({ ...run, recover: ring(3), loss: breaksAt(0) })).code).toBe("non-finite");
  });

  it("frees what a throw in the loss leaves open", async () => {
    const error = await failure({
      loss: ({ w }) => {
        tf.exp(tf.mul(w as tf.Tensor, 2));
        throw new TiltedError("support", "inside", { site: "z" });
      },
    });
    expect(error).toMatchObject({ code: "support", site: "z" });
  });

  it("refuses options that contradict each other", async () => {
    expect((await failure({ epochs: 3 })).message).toContain("either steps or epochs");
    expect((await failure({ patience: 3 })).message).toContain("patience");
    expect((await failure({ stepsPerEpoch: 0 })).code).toBe("argument");
    expect((await failure({ steps: -1 })).code).toBe("argument");
    expect((await failure({ clip: { norm: 0 } })).code).toBe("argument");
    expect((await failure({ loss: ({ w }) => w as tf.Tensor })).code).toBe("shape");
    expect((await failure({ loss: () => tf.scalar(1) })).code).toBe("not-differentiable");
    expect((await failure({ params: { w: ndarray(new Int32Array(2)) } })).message).toContain("int32");
  });

  it("takes a zero gradient for a parameter that is not used", async () => {
    const fit = await train({ ...base, params: { w: at(1, 1), unused: at(7) } });
    expect(fit.params.unused?.data[0]).toBe(7);
  });
});
