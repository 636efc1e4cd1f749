/** The checks that a guide fits its model: each names the site or parameter on which the two disagree. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { sameShape, showShape } from "../../core/shape.ts";
import { hasKl, kl } from "../../dist/kl.ts";
import type { PlateFrame, SampleEffect } from "../../effects/effects.ts";
import { type Handler, handler } from "../../effects/handle.ts";
import type { Execution } from "../../effects/interpret.ts";
import type { Inspection, SiteInfo } from "./inspect-model.ts";
import type { ClosedKl } from "./model-and-guide.ts";

const showPlates = (plates: readonly PlateFrame[]): string =>
  plates.length === 0 ? "no plate" : plates.map(({ name, size }) => `"${name}" (${size})`).join(" > ");

const quote = (sites: readonly SiteInfo[]): string =>
  sites.length === 0 ? "none" : sites.map(({ name }) => `"${name}"`).join(", ");

/** *A guide only draws.* @throws `unsupported` when a program observes. */
export const drawOnly: Handler = handler(
  () =>
    function* (effect) {
      if (effect.kind === "observe") {
        fail("unsupported", `the guide observes "${effect.name}"; a guide only draws: pass data as arguments`, {
          site: effect.name,
        });
      }
      return yield effect;
    },
);

/** *The model is inspected at the guide's draws*: latent sites take the guide's values, after checks that the two sites agree. */
export const matchedValues = (guide: Inspection): Handler =>
  handler(
    () =>
      function* (effect) {
        return yield effect.kind === "sample" ? { ...effect, value: matchedValue(guide, effect) } : effect;
      },
  );

function matchedValue({ run, info }: Inspection, effect: SampleEffect): tf.Tensor {
  const { name, dist, plates = [] } = effect;
  const theirs = run.sites.get(name);
  if (theirs?.kind !== "sample" || theirs.value === undefined) {
    const message = `the guide misses the latent site "${name}"; it has ${quote(info.latents)}`;
    return fail("missing-site", message, { site: name });
  }
  const same =
    plates.length === theirs.plates.length && plates.every((frame, i) => frame.name === theirs.plates[i]?.name);
  if (!same) {
    fail(
      "plate",
      `site "${name}" lies in ${showPlates(plates)} in the model and in ${showPlates(theirs.plates)} in the guide`,
      { site: name },
    );
  }
  const { shape } = theirs.value;
  const event = shape.slice(shape.length - theirs.eventRank);
  if (!sameShape(event, dist.eventShape)) {
    fail(
      "shape",
      `site "${name}": one value has shape ${showShape(dist.eventShape)} in the model and ${showShape(event)} in the guide`,
      { site: name },
    );
  }
  const inside = tf.tidy(() => tf.min(tf.cast(dist.support.check(theirs.value as tf.Tensor), "int32")).dataSync()[0]);
  if (inside === 0) {
    fail(
      "support",
      `site "${name}": the guide's ${theirs.dist?.family} drew a value outside the support of the model's ${dist.family}: ${dist.support.name}; transform it there`,
      { site: name },
    );
  }
  return theirs.value;
}

/** @throws `extra-site` on a latent site that the model lacks; `argument` on a factor that does not say whether it is differentiable. */
export function checkGuideSites(guide: Inspection, model: Inspection): void {
  for (const { name, kind, differentiable } of guide.info.sites) {
    if (kind === "sample" && model.run.sites.get(name)?.kind !== "sample") {
      const message = `the model has no latent site "${name}" that the guide draws; it has ${quote(model.info.latents)}`;
      fail("extra-site", message, { site: name });
    }
    if (kind === "factor" && differentiable === undefined) {
      fail(
        "argument",
        `factor "${name}" in the guide must say whether gradients may flow through it: { differentiable: true } or false`,
        { site: name },
      );
    }
  }
}

/** @throws `shape`, `parameter` on a parameter that is not the same in both. */
export function checkSharedParams(guide: Execution, model: Execution): void {
  for (const [name, ours] of model.params) {
    const theirs = guide.params.get(name);
    if (theirs === undefined) continue;
    if (!sameShape(ours.value.shape, theirs.value.shape)) {
      fail(
        "shape",
        `parameter "${name}" has shape ${showShape(ours.value.shape)} in the model and ${showShape(theirs.value.shape)} in the guide`,
        { site: name },
      );
    }
    if (ours.constraint?.name !== theirs.constraint?.name) {
      fail("parameter", `parameter "${name}" has different constraints in model and guide`, { site: name });
    }
  }
}

/** KL(q ‖ p) of distributions of which {@link mayUseClosedKl} holds. */
export const closedKl: ClosedKl = (q, p) => kl(q, p).value;

/**
 * Whether a closed KL may replace log p − log q at a site. Its value is an expectation over the site given the sites drawn
 * before it *in the guide*, so sites that the model's prior may depend on must come before it there too.
 */
export function mayUseClosedKl(name: string, guide: Inspection, model: Inspection): boolean {
  const [q, p] = [guide.run.sites.get(name)?.dist, model.run.sites.get(name)?.dist];
  if (q === undefined || p === undefined) return false;
  if ([guide, model].some(({ info }) => info.latents.some((site) => site.name === name && site.reweighted)))
    return false;
  const before = ({ info }: Inspection) => {
    const names = info.latents.map((site) => site.name);
    return names.slice(0, names.indexOf(name));
  };
  const drawn = before(guide);
  return before(model).every((n) => drawn.includes(n)) && hasKl(q, p);
}
