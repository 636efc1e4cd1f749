/** log p(x) of a latent-variable model and log p_E(x) = log p(x) − E(x) − log Z of its tilt, each between two bounds. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { showShape } from "../core/shape.ts";
import { type Tree, toTensors } from "../core/tree.ts";
import { normal } from "../dist/index.ts";
import type { ParamEffect } from "../effects/effects.ts";
import type { Energy } from "../effects/handlers.ts";
import { interpret } from "../effects/interpret.ts";
import { tiltedBounds } from "../inference/tilt/tilt-density.ts";
import type { Bound, Sandwich } from "../inference/weights/bound.ts";
import { logZ } from "../inference/weights/log-z.ts";
import type { Generative } from "./generative.ts";
import { weighedDraws } from "./posterior-weights.ts";
import { inChunks } from "./rows.ts";

/** Options of {@link logDensityOf} and {@link tiltedLogDensity}. */
export interface DensityOptions {
  readonly seed: Seed | Key;
  /** Unconstrained parameters of model and energy, as a fit's `params`. */
  readonly params?: Tree<NdArray>;
  /** Draws of q(z|x) for each row, at least 64. Default 1024. */
  readonly particles?: number;
}

/** A log-density of rows, from both sides. */
export interface DensityBounds<Of extends string> extends Sandwich<Of> {
  /** The same for each row; `lower` and `upper` above are their means. */
  readonly rows: readonly Sandwich<Of>[];
}

/** Rows × particles that are evaluated at once. */
const CHUNK = 1 << 14;

/**
 * log p(x) of each row, from K importance weights w_k = p(x, z_k)/q(z_k|x), z_k ~ q(z|x).
 *
 * Lower: the log of the mean weight (IWAE), below in expectation by Jensen. Upper: b − 1 + e^{−b} ŵ with b from other draws, above for
 * any b. Both close as 1/K while the weights have a variance; a wide gap says that the encoder misses the posterior.
 *
 * @param x - `[n, features]`.
 * @throws `shape` unless x is `[n, features]`; `argument` with fewer than 64 particles.
 */
export function logDensityOf(
  net: Pick<Generative, "features" | "latent" | "encode" | "decode">,
  x: NdArray,
  options: DensityOptions,
): DensityBounds<"log p(x)"> {
  const { particles = 1024, params = {} } = options;
  if (x.shape.length !== 2 || x.shape[1] !== net.features)
    fail("shape", `logDensityOf: expected data of shape [n, ${net.features}], got ${showShape(x.shape)}`);
  checkWhole("logDensityOf", "particles", particles);
  const key = toKey(options.seed);
  const n = x.shape[0] as number;
  const size = Math.max(1, Math.floor(CHUNK / particles));
  const rows: Sandwich<"log p(x)">[] = [];
  for (let from = 0; from < n; from += size) {
    const count = Math.min(size, n - from);
    const part = ndarray(x.data.slice(from * net.features, (from + count) * net.features), [count, net.features]);
    const { data } = scope(() => {
      const noise = normal(tf.zeros([count, net.latent]), 1).sample(fold(fold(key, "density"), from), [particles]);
      const given = { params: toTensors(params), key: fold(key, "init") };
      return fromTensor(interpret(weighedDraws(net, part.tensor(), noise), given).result.logWeights);
    });
    for (let i = 0; i < count; i++)
      rows.push(
        logZ(
          Float64Array.from({ length: particles }, (_, k) => data[k * count + i] as number),
          "log p(x)",
        ),
      );
  }
  return { ...meanOf(rows), rows };
}

/**
 * log p_E(x) = log p(x) − E(x) − log Z of each row under the tilt e^{−E}p/Z.
 *
 * Lower: the lower bound of log p(x) less the upper of log Z; upper: the other way round. Every side errs to its own side in expectation,
 * unlike the customary mix of an IWAE bound with −log Ẑ, which is neither.
 *
 * @param energy - E, as given to `tilt`.
 * @param z - log Z of the tilt: `fit.logZ`, or `logZ(weights)` of base draws.
 * @throws As {@link logDensityOf}.
 */
export function tiltedLogDensity(
  net: Pick<Generative, "features" | "latent" | "encode" | "decode">,
  energy: Energy<ParamEffect>,
  z: Sandwich<"log Z">,
  x: NdArray,
  options: DensityOptions,
): DensityBounds<"log p_E(x)"> {
  const base = logDensityOf(net, x, options);
  const energies = inChunks(x, options.params ?? {}, function* (rows) {
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

/** Means over rows, whose draws are independent: the error is that of the draws, not that of a choice of rows. */
function meanOf<Of extends string>(rows: readonly Sandwich<Of>[]): Sandwich<Of> {
  const side = (pick: (row: Sandwich<Of>) => Bound<Of>): Bound<Of> => {
    const each = rows.map(pick);
    const sum = (f: (b: Bound<Of>) => number) => each.reduce((s, b) => s + f(b), 0);
    const { side, of } = each[0] as Bound<Of>;
    const standardError = Math.sqrt(sum((b) => b.standardError ** 2)) / each.length;
    return { value: sum((b) => b.value) / each.length, standardError, side, of };
  };
  return { lower: side(({ lower }) => lower), upper: side(({ upper }) => upper) };
}
