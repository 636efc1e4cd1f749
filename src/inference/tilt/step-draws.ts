/** The draws of one step of maximum likelihood: rows of data in turn, and negatives from a source with the current parameters. */
import type { NdArray } from "../../core/array.ts";
import { fold } from "../../core/key.ts";
import { permutation } from "../../core/random/discrete.ts";
import { sizeOf } from "../../core/shape.ts";
import { hostTensor } from "../../core/tracing.ts";
import { type ArrayTree, mapTree, type Tree } from "../../core/tree.ts";
import { tilt } from "../../effects/handlers.ts";
import type { Problem } from "../method/infer.ts";
import type { LikelihoodBatch } from "./likelihood-loss.ts";
import type { NegativeDraws, NegativeInfo, NegativeSource, Negatives } from "./negatives.ts";
import type { TiltSetup } from "./tilt-setup.ts";

/** Draws of a run. */
export interface StepDraws {
  /** Draws for a step, outside every scope; `params` are the run's own arrays, which the training overwrites. */
  next(step: number, params: ArrayTree): Promise<void>;
  /** The draws as tensors, traced or not. */
  batch(): LikelihoodBatch;
  /** Statistics of the source of negatives since the last call. */
  info(): NegativeInfo;
  /** Rows of the tilted site in the source's buffer, at most `n`; `undefined` without a buffer. */
  buffered(n: number): NdArray | undefined;
  dispose(): void;
}

/** What to draw from. */
export interface StepDrawsSpec {
  readonly problem: Problem;
  readonly setup: TiltSetup;
  readonly data: NdArray;
  readonly negatives: Negatives;
  /** Rows of data in one step. */
  readonly batch: number;
  /** Steps of the run. */
  readonly steps: number;
}

/** Draws of a run. The source starts with the first step. */
export function stepDraws({ problem, setup, data, negatives, batch, steps }: StepDrawsSpec): StepDraws {
  const rows = rowBatches(problem, data, batch);
  let source: NegativeSource | undefined;
  let drawn: NegativeDraws = {};
  const start = (params: ArrayTree) => {
    const tilted = tilt(setup.site.name, setup.network)(setup.base as never) as Problem["model"];
    return negatives.start({
      problem: { ...problem, params: { ...setup.fixed, ...liveArrays(params) } },
      tilted: (negatives.coordinates?.(tilted as never) ?? tilted) as Problem["model"],
      steps,
    });
  };
  return {
    async next(step, params) {
      source ??= await start(params);
      rows.load(step);
      drawn = await source.next(step);
    },
    batch: () => ({
      x: hostTensor(() => rows.values.slice(), rows.shape),
      negatives: mapTree(drawn, ({ shape }, name) => hostTensor(() => (drawn[name] as NdArray).data.slice(), shape)),
    }),
    info: () => source?.info() ?? {},
    buffered: (n) => source?.buffered(n)?.[setup.site.name],
    dispose: () => source?.dispose(),
  };
}

/** Arrays whose values are read anew in every step, traced or not. */
const liveArrays = (params: ArrayTree): Tree<NdArray> =>
  mapTree(params, (array) => ({ ...array, tensor: () => hostTensor(() => array.data.slice(), array.shape) }));

/** Batches of rows of the data, in one shuffled order that repeats. */
function rowBatches({ key }: Problem, data: NdArray, most: number) {
  const [count, ...event] = data.shape as [number, ...number[]];
  const size = sizeOf(event);
  const batch = Math.min(most, count);
  const order = permutation(fold(key, "rows"), count);
  const values = new Float32Array(batch * size);
  return {
    values,
    shape: [batch, ...event],
    load(step: number): void {
      for (let i = 0; i < batch; i++) {
        const row = order[(step * batch + i) % count] as number;
        values.set(data.data.subarray(row * size, (row + 1) * size), i * size);
      }
    },
  };
}
