/** Energies as programs: one energy, a copy of it with its own parameters, the mean of copies; and their values for a batch. */
import * as tf from "@tensorflow/tfjs-core";
import type { TensorTree } from "../../core/tree.ts";
import type { ParamEffect, Program } from "../../effects/effects.ts";
import { handleEffects } from "../../effects/handle.ts";
import type { Energy } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";

/** An energy as a program. */
export type EnergyProgram = (z: tf.Tensor) => Program<ParamEffect, tf.Tensor>;

/** Energies of a batch, flat. */
export const evaluate = (network: EnergyProgram, z: tf.Tensor, params: TensorTree): tf.Tensor =>
  tf.reshape(interpret(network(z), { params }).result, [-1]);

/** The energy as a program, whether it is one or a function. */
export const energyProgram = <E2 extends ParamEffect>(energy: Energy<E2>): EnergyProgram =>
  function* (z) {
    const e = energy(z);
    return e instanceof tf.Tensor ? e : yield* e;
  };

/** A copy of the energy with parameters of its own. */
export const copyOf = <E2 extends ParamEffect>(energy: Energy<E2>, k: number): EnergyProgram =>
  function* (z) {
    return yield* handleEffects(energyProgram(energy)(z), function* (effect): Program<ParamEffect, unknown> {
      return yield { ...effect, name: `fold-${k}/${effect.name}` };
    });
  };

/** The mean of the copies. */
export const ensemble = <E2 extends ParamEffect>(energy: Energy<E2>, folds: number): EnergyProgram =>
  function* (z) {
    let total: tf.Tensor | undefined;
    for (let k = 0; k < folds; k++) {
      const e = yield* copyOf(energy, k)(z);
      total = total === undefined ? e : tf.add(total, e);
    }
    return tf.div(total as tf.Tensor, folds);
  };
