/** Value and gradient of a scalar in a tree of parameters. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { showShape } from "../../core/shape.ts";
import type { TensorTree } from "../../core/tree.ts";

/** A scalar and its derivatives, in the caller's scope. A parameter on which the value does not depend has none. */
export interface ValueAndGradient {
  readonly value: tf.Tensor;
  readonly grads: { readonly [name: string]: tf.Tensor | undefined };
}

/**
 * Evaluates `f` at `params` and differentiates it. Call it inside `scope`.
 *
 * @throws `shape` when `f` gives no scalar; `not-differentiable` when it depends on none of the parameters.
 */
export function valueAndGradient(what: string, f: () => tf.Tensor, params: TensorTree): ValueAndGradient {
  const names = Object.keys(params);
  if (names.length === 0) return { value: f(), grads: {} };
  const checked = () => {
    const value = f();
    if (value.rank !== 0) fail("shape", `${what}: the loss must be a scalar, got shape ${showShape(value.shape)}`);
    return value;
  };
  // Absent gradients are allowed, so that a network may have an unused layer.
  const xs = names.map((name) => params[name] as tf.Tensor);
  const { value, grads } = tf.engine().gradients(checked, xs, undefined, true);
  if (grads.every((grad) => grad == null)) {
    fail("not-differentiable", `${what}: the loss depends on none of the parameters ${names.join(", ")}`);
  }
  return { value, grads: Object.fromEntries(names.map((name, i) => [name, grads[i] ?? undefined])) };
}
