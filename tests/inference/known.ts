/** What a model must be to stand in the table of methods: its exact evidence and posterior moments, and guides for it. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../../src/core/array.ts";
import type { TensorTree } from "../../src/core/tree.ts";
import type { Distribution } from "../../src/dist/distribution.ts";
import { type Effect, type Model, model, sample } from "../../src/effects/effects.ts";
import { type Matrix, normalLogDensity, type Vector } from "../support/matrix.ts";

/** A model without arguments, whatever its sites. */
export type AnyModel = Model<readonly never[], Effect, unknown>;

/** An expectation under the posterior. */
export interface Moment {
  readonly what: string;
  /** One number for each draw, from sites `[draws, ...]`. */
  readonly of: (sites: TensorTree) => tf.Tensor;
  readonly truth: number;
  /** The error that every method must notice. */
  readonly detects: number;
}

/** A model whose answers are known. */
export interface Known {
  readonly name: string;
  readonly model: AnyModel;
  /** log of the integral of the model's density. */
  readonly logEvidence: number;
  /** The label of that evidence. */
  readonly of: "log p(data)" | "log Z" | "log p(data) + log Z";
  readonly moments: readonly Moment[];
  /** A guide that is not the posterior. */
  readonly guide: AnyModel;
  /** KL(guide ‖ posterior). */
  readonly gap: number;
  /** The posterior as a guide. */
  readonly posterior?: AnyModel;
  /** Every latent site is continuous. */
  readonly continuous: boolean;
  /** ESS/n of draws from the prior as n grows, Z(E)²/Z(2E) for a tilt. */
  readonly essRatio?: number;
  /** What ULA of this step size settles in instead of the posterior: moments in the order of `moments`. */
  readonly ula?: { readonly stepSize: number; readonly truths: readonly number[] };
}

/** Forgets the names of sites. */
export const any = <E extends Effect>(of: Model<readonly never[], E, unknown>): AnyModel => of;
/** A program with one latent site, `x`. */
export const single = (dist: () => Distribution) =>
  model(function* () {
    yield* sample("x", dist());
  });
/** A site as float32. */
export const value = (x: tf.Tensor | undefined) => tf.cast(x as tf.Tensor, "float32");
export const logNormal = (mean: number, sd: number) => (x: number) => normalLogDensity([x], [mean], [[sd * sd]]);

export const vector = (v: Vector | Float32Array) => ndarray(Float32Array.from(v));
/** A matrix, or a stack of them. */
export const matrix = (a: readonly Matrix[] | Matrix) => {
  const shape: number[] = [];
  for (let level: unknown = a; Array.isArray(level); level = level[0]) shape.push(level.length);
  return ndarray(Float32Array.from((a as readonly unknown[]).flat(2) as number[]), shape);
};
