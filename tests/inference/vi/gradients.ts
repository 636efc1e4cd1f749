/** For tests: many independent estimates of the gradient of a bound, from the estimator that training uses. */
import { ndarray } from "../../../src/core/array.ts";
import { fold, rootKey } from "../../../src/core/key.ts";
import { scope } from "../../../src/core/scope.ts";
import type { ArrayTree } from "../../../src/core/tree.ts";
import { toTensors } from "../../../src/core/tree.ts";
import type { Problem } from "../../../src/inference/method/infer.ts";
import { matchGuide } from "../../../src/inference/problem/match-guide.ts";
import { allRows } from "../../../src/inference/problem/minibatch.ts";
import { valueAndGradient } from "../../../src/inference/train/gradient.ts";
import { type Estimator, surrogate } from "../../../src/inference/vi/importance-bound.ts";
import type { Baseline } from "../../../src/inference/vi/learning-signal.ts";

export interface GradientOptions {
  readonly params: { readonly [name: string]: number };
  readonly args?: readonly unknown[];
  readonly k?: number;
  readonly draws?: number;
  readonly estimator?: Estimator;
  readonly closed?: boolean;
  readonly baseline?: Baseline;
  readonly expected?: number;
  /** Independent repetitions. */
  readonly repeats: number;
  readonly seed?: number;
}

// biome-ignore lint/suspicious/noExplicitAny: tests pass models of every type
type AnyProgram = (...args: any[]) => Generator<any, unknown, unknown>;

/** Estimates of the bound and of its derivative in each (scalar) parameter. */
export function gradientSamples(model: AnyProgram, guide: AnyProgram, options: GradientOptions) {
  const { k = 1, draws = 1, estimator = "pathwise", closed = false, baseline = "none", expected = 0 } = options;
  const params: ArrayTree = Object.fromEntries(
    Object.entries(options.params).map(([name, value]) => [name, ndarray(Float32Array.of(value), [])]),
  );
  const root = rootKey(options.seed ?? 1);
  const problem = { model, args: options.args ?? [], key: root, params } as unknown as Problem;
  const paired = matchGuide(problem, guide as unknown as Problem["model"]);
  const bound: number[] = [];
  const grads = Object.fromEntries(Object.keys(params).map((name) => [name, [] as number[]]));
  for (let i = 0; i < options.repeats; i++) {
    scope(() => {
      const tensors = toTensors(params);
      const settings = {
        k,
        draws,
        estimator,
        closed,
        baseline,
        expected: () => expected,
        subsample: allRows,
        particles: undefined,
      };
      const { value, grads: found } = valueAndGradient(
        "test",
        () => surrogate(paired, { ...settings, key: fold(root, i), params: tensors }).bound,
        tensors,
      );
      bound.push(value.dataSync()[0] as number);
      for (const [name, list] of Object.entries(grads)) list.push(found[name]?.dataSync()[0] ?? 0);
    });
  }
  return { bound, grads, paired };
}

/** Central difference in double precision. */
export const derivative = (f: (x: number) => number, x: number, h = 1e-5): number => (f(x + h) - f(x - h)) / (2 * h);
