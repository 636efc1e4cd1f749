/** log p_E(x) = log p(x) − E(x) − log Z of rows, from both sides: each term is bounded on the side that makes the sum a bound. */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { showShape } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import { logJoint } from "../../effects/density.ts";
import type { ParamEffect } from "../../effects/effects.ts";
import { type Energy, replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { mapRows } from "../../effects/map-rows.ts";
import { type DensityBounds, type DensityOptions, logDensityOf } from "../importance/latent-density.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import type { LatentVariableModel } from "../problem/latent-variable.ts";
import { takeRows } from "../problem/site-draws.ts";
import type { Bound, Sandwich } from "../weights/bound.ts";

/** Mean of log p(x) over rows under the base, from both sides. */
export type BaseLogDensity = (x: NdArray, params: Tree<NdArray>) => Sandwich;

/** log p(x) − E(x) − log Z. The draws behind the two estimates are independent. */
export function tiltedBounds(base: Sandwich, energy: number, z: Sandwich): Sandwich<"log p_E(x)"> {
  const less = (of: Bound, part: Bound): Bound<"log p_E(x)"> => ({
    value: of.value - energy - part.value,
    standardError: Math.hypot(of.standardError, part.standardError),
    side: of.side,
    of: "log p_E(x)",
  });
  return { lower: less(base.lower, z.upper), upper: less(base.upper, z.lower) };
}

/**
 * log p_E(x) = log p(x) − E(x) − log Z of each row under the tilt e^{−E}p/Z.
 *
 * Lower: the lower bound of log p(x) less the upper of log Z; upper: the other way round. Each is a bound in expectation,
 * unlike the customary mix of an IWAE bound with −log Ẑ, which is neither.
 *
 * @param energy - E, as given to `tilt`.
 * @param z - log Z of the tilt: `fit.logZ`, or `logZ(weights)` of base draws.
 * @throws As {@link logDensityOf}.
 */
export function tiltedLogDensity(
  net: LatentVariableModel,
  energy: Energy<ParamEffect>,
  z: Sandwich<"log Z">,
  x: NdArray,
  options: DensityOptions,
): DensityBounds<"log p_E(x)"> {
  const base = logDensityOf(net, x, options);
  const energies = mapRows(x, options.params ?? {}, function* (rows) {
    const e = energy(rows);
    return e instanceof tf.Tensor ? e : yield* e;
  });
  const rows = base.rows.map(({ lower, upper }, i) => {
    return tiltedBounds({ lower, upper }, energies.data[i] as number, z);
  });
  // log Z is common to all rows: its error does not average out.
  const e = Array.from(energies.data).reduce((sum, value) => sum + value, 0) / rows.length;
  return { ...tiltedBounds(base, e, z), rows };
}

/** Rows of the data used for a fit's likelihood unless the caller gives test rows. */
const MAX_TEST_ROWS = 1024;

/** The rows given, or the first of the data. @throws `shape` unless both have the same entries. */
export function testRows(what: string, test: NdArray | undefined, data: NdArray): NdArray {
  if (test === undefined)
    return takeRows(
      data,
      Int32Array.from({ length: Math.min(MAX_TEST_ROWS, data.shape[0] as number) }, (_, i) => i),
    );
  if (`${test.shape.slice(1)}` !== `${data.shape.slice(1)}` || !((test.shape[0] ?? 0) > 0))
    fail("shape", `${what}: test has shape ${showShape(test.shape)}, expected [n, ${data.shape.slice(1)}]`);
  return test;
}

/**
 * Mean of log p(x) over rows, exactly, under a base that draws the site and nothing else; `undefined` where it has other latents, data or a
 * factor.
 */
export function exactLogDensity(problem: Problem, site: string, x: NdArray): Sandwich | undefined {
  const { latents, observed, normalized, depth } = inspectModel(problem);
  if (latents.length !== 1 || latents[0]?.name !== site || latents[0].plates.length > 0) return undefined;
  if (observed.length > 0 || !normalized) return undefined;
  const rows = x.shape[0] as number;
  const value = scope(() => {
    const run = interpret(replay({ latents: { [site]: x.tensor() } })(problem.model)(...problem.args), {
      particles: rows,
      depth,
      params: toTensors(problem.params),
    });
    return Array.from(logJoint(run).dataSync()).reduce((sum, v) => sum + v / rows, 0);
  });
  const bound = (side: Bound["side"]): Bound => ({ value, standardError: 0, side, of: "log p(x)" });
  return { lower: bound("lower"), upper: bound("upper") };
}
