/** Bounds of log p(x) of a latent-variable model, from below and above, by importance sampling from its encoder. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, type Seed, toKey } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { showShape } from "../../core/shape.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import { normal } from "../../dist/index.ts";
import { interpret } from "../../effects/interpret.ts";
import { encoderDraws, type LatentVariableModel } from "../problem/latent-variable.ts";
import type { Bound, Sandwich } from "../weights/bound.ts";
import { logZ } from "../weights/log-z.ts";

/** Options of {@link logDensityOf} and `tiltedLogDensity`. */
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

/** Rows × particles in one run. */
const CHUNK = 1 << 14;

/**
 * log p(x) of each row, from K importance weights w_k = p(x, z_k)/q(z_k|x), z_k ~ q(z|x).
 *
 * Lower: the log of the mean weight (IWAE), below in expectation by Jensen. Upper: b − 1 + e^{−b} ŵ with b from other draws, above for
 * any b. The gap falls as 1/K if the weights have finite variance; a wide gap means that the encoder misses the posterior.
 *
 * @param x - `[n, features]`.
 * @throws `shape` unless x is `[n, features]`; `argument` with fewer than 64 particles.
 */
export function logDensityOf(net: LatentVariableModel, x: NdArray, options: DensityOptions): DensityBounds<"log p(x)"> {
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
      return fromTensor(interpret(encoderDraws(net, part.tensor(), noise), given).result.logWeights);
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
