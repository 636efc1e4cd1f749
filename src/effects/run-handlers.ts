/** The handlers with which methods run a model: which terms are scored, which rows plates have, where improper sites start. */
import { uniform } from "../core/random/draws.ts";
import { sizeOf } from "../core/shape.ts";
import { hostArray, hostTensor } from "../core/tracing.ts";
import type { Distribution } from "../dist/distribution.ts";
import type { FactorEffect, ObserveEffect, PlateEffect, PlateFrame, SampleEffect } from "./effects.ts";
import { type Handler, handler } from "./handle.ts";
import { checkPlateSize } from "./plate.ts";

/** An effect that has a log-probability. */
export type ScoredEffect = SampleEffect | ObserveEffect | FactorEffect;

/** *Not every term is needed*: log-probabilities are computed only where `which` holds. What is drawn stays the same. */
export const scoreOnly = (which: (effect: ScoredEffect) => boolean) =>
  handler(
    () =>
      function* (effect) {
        if (effect.kind !== "sample" && effect.kind !== "observe" && effect.kind !== "factor") return yield effect;
        return yield which(effect) ? effect : { ...effect, scored: false };
      },
  );

/** *Only the draws are wanted*: no log-probability is computed. */
export const unscored = scoreOnly(() => false);

/** The plate with its rows chosen. */
const withIndices = (
  { subsample: _, indices: __, ...plate }: PlateEffect,
  indices: Int32Array | undefined,
): PlateEffect => (indices === undefined ? plate : { ...plate, indices });

/**
 * *Two programs see the same rows*: plates have those of an earlier run, for instance of the guide. Others keep their own.
 *
 * @throws `plate` when a plate had another size there.
 */
export const withPlates = (frames: ReadonlyMap<string, PlateFrame>): Handler =>
  frames.size === 0
    ? (model) => model
    : handler(
        () =>
          function* (effect) {
            const frame = effect.kind === "plate" ? frames.get(effect.name) : undefined;
            if (effect.kind !== "plate" || frame === undefined) return yield effect;
            checkPlateSize(effect, frame);
            return yield withIndices(effect, frame.indices);
          },
      );

/** Chooses `rows` of the `size` rows of a plate. */
export type ChooseRows = (name: string, size: number, rows: number) => Int32Array;

/** *Who runs the model chooses its minibatches*: rows of subsampled plates are those of `choose`, once for each plate and run. */
export const withRows = (choose: ChooseRows) =>
  handler(() => {
    const chosen = new Map<string, Int32Array>();
    return function* (effect) {
      if (effect.kind !== "plate" || effect.indices !== undefined) return yield effect;
      const { name, size, subsample } = effect;
      if (subsample === undefined || subsample >= size) return yield effect;
      const indices = chosen.get(name) ?? hostArray(() => choose(name, size, subsample));
      chosen.set(name, indices);
      return yield withIndices(effect, indices);
    };
  });

/** Half-width of the box, in unconstrained coordinates, from which sites without a proper prior start (Stan's choice). */
const START_BOX = 2;

/** *What has no prior must start somewhere*: improper sites are drawn uniformly from ±2 in unconstrained coordinates. */
export const startImproper = handler(
  () =>
    function* (effect) {
      const drawn = (effect.kind === "sample" || effect.kind === "hidden") && effect.value === undefined;
      return yield drawn && effect.dist.family === "improper" ? { ...effect, dist: startedInBox(effect.dist) } : effect;
    },
);

/** An improper distribution that can be drawn from, for starting values. */
const startedInBox = (dist: Distribution): Distribution => ({
  ...dist,
  expand: (batchShape) => startedInBox(dist.expand(batchShape)),
  sample(key, shape = []) {
    const bijection = dist.support.bijection();
    const unconstrained = bijection.unconstrainedShape([...shape, ...dist.batchShape, ...dist.eventShape]);
    const draw = () => uniform(key, sizeOf(unconstrained)).map((u) => (2 * u - 1) * START_BOX);
    return bijection.forward(hostTensor(draw, unconstrained));
  },
});
