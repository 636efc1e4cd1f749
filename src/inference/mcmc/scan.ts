/**
 * A transition as a step that the compiler repeats: the state is carried, and the noise of every step is an input slice. So many steps run
 * in one call, which for a small step costs more than the step itself.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "../../core/shape.ts";
import { noiseInputs, noiseShape } from "./noise.ts";
import { applyTransition, type TransitionSpec } from "./runner.ts";

/** Names of a state's entries as inputs and outputs. */
export const entry = (name: string): string => `state ${name}`;
export const DRAW = "draw";

/** A step for the compiler: inputs, outputs, and what is carried. */
export interface ScanSpec {
  readonly inputs: { readonly [name: string]: { readonly shape: Shape; readonly dtype: "float32" } };
  body(inputs: { readonly [name: string]: tf.Tensor }): { readonly [name: string]: tf.Tensor };
  /** Entries of the state that a step changes. */
  readonly carry: { readonly [name: string]: string };
  /** Inputs with one row for each step. */
  readonly slices: readonly string[];
}

/** The step in ops, for this many chains. `fixed`: entries of the state that a step does not change. */
export function scanSpec(spec: TransitionSpec, chains: number, fixed: ReadonlySet<string>, collect: boolean): ScanSpec {
  const names = Object.keys(spec.shapes);
  const noise = noiseInputs(spec.transition.noise, spec.sites);
  const real = (shape: Shape) => ({ shape, dtype: "float32" as const });
  const shapeOf = (name: string): Shape => {
    const shape = spec.shapes[name] as Shape;
    return shape.length === 0 ? shape : [chains, ...shape.slice(1)];
  };
  const changing = names.filter((name) => !fixed.has(name));
  return {
    inputs: Object.fromEntries([
      ...names.map((name) => [entry(name), real(shapeOf(name))] as const),
      ...noise.map((input) => [input.input, real(noiseShape(input, chains))] as const),
    ]),
    body(given) {
      const state = Object.fromEntries(names.map((name) => [name, given[entry(name)] as tf.Tensor])) as never;
      const [next, info] = applyTransition(spec, state, given, undefined);
      return {
        ...Object.fromEntries(changing.map((name) => [entry(name), next[name] as tf.Tensor])),
        ...(collect && { [DRAW]: next.x }),
        ...(info.acceptance !== undefined && { acceptance: info.acceptance }),
        finite: info.finite,
      };
    },
    carry: Object.fromEntries(changing.map((name) => [entry(name), entry(name)])),
    slices: noise.map(({ input }) => input),
  };
}
