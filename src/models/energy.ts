/** Energies: networks of one output, whose tilt is p·exp(−E)/Z. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray } from "../core/array.ts";
import type { ParamEffect, Program } from "../effects/effects.ts";
import { type Activation, heNormal, linear, mlp, silu, type WeightInit } from "../nn/layers.ts";

/** Options of {@link energy}. */
export interface EnergyOptions {
  /** Hidden widths. Default `[64, 64]`. */
  readonly hidden?: readonly number[];
  /** Default {@link silu}: smooth, so that the drift of Langevin dynamics is continuous. */
  readonly activation?: Activation;
  /** Keeps every layer 1-Lipschitz, so that the energy cannot diverge (Miyato et al. 2018). Default false. */
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
  const layers = { activation, spectralNorm, weightInit: heNormal };
  const width = hidden[hidden.length - 1] ?? features;
  const trunk =
    hidden.length === 0 ? undefined : mlp(`${name}/hidden`, [features, ...hidden], { ...layers, output: activation });
  const head = linear(`${name}/out`, width, 1, { spectralNorm, weightInit: spectralNorm ? heNormal : nearZero });
  return function* (x) {
    const h = trunk === undefined ? x : yield* trunk(x);
    return tf.squeeze(yield* head(h), [-1]);
  };
}

/** The first energy is close to 0 everywhere: the fit starts from the base as it is. */
const nearZero: WeightInit = (key, fanIn, fanOut) => {
  const { data, shape } = heNormal(key, fanIn, fanOut);
  return ndarray(
    (data as Float32Array).map((w) => w * START_SCALE),
    shape,
  );
};
const START_SCALE = 0.1;
