/** Energies: networks of one output, whose tilt is p·exp(−E)/Z. */
import * as tf from "@tensorflow/tfjs-core";
import type { ParamEffect, Program } from "../effects/effects.ts";
import { type Activation, mlp, silu } from "../nn/layers.ts";

/** Options of {@link energy}. */
export interface EnergyOptions {
  /** Hidden widths. Default `[64, 64]`. */
  readonly hidden?: readonly number[];
  /** Default {@link silu}: smooth, so that Langevin dynamics see a continuous force. */
  readonly activation?: Activation;
  /** Keeps every layer 1-Lipschitz, so that the energy cannot run away (Miyato et al. 2018). Default false. */
  readonly spectralNorm?: boolean;
  /** Prefix of its parameters. Default `energy`. */
  readonly name?: string;
}

/** An energy of a value with `features` entries on its last axis: a multilayer perceptron. Returns `[...batch]`. */
export function energy(
  features: number,
  options: EnergyOptions = {},
): (x: tf.Tensor) => Program<ParamEffect, tf.Tensor> {
  const { hidden = [64, 64], activation = silu, spectralNorm = false, name = "energy" } = options;
  const network = mlp(name, [features, ...hidden, 1], { activation, spectralNorm });
  return function* (x) {
    return tf.squeeze(yield* network(x), [-1]);
  };
}
