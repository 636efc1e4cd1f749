/**
 * log Σₖ wₖ N(x; μₖ, diag σₖ²) for thousands of components and as many points as wanted: the table of points × components exists
 * a slice at a time, in the value and in the gradient, which is written out instead of kept.
 */
import * as tf from "@tensorflow/tfjs-core";
import { isKnown } from "../core/live.ts";
import { logSumExp } from "../engine/ops.ts";

const LOG_2PI = Math.log(2 * Math.PI);

/** Entries of one slice of the table: 2 MiB in float32, of which a few exist at once and stay in the processor's cache. */
const SLICE = 1 << 19;

/**
 * The squares of (x − μ)/σ come from one matrix product as long as |x/σ|² stays below this: its rounding is then below 1e-3 in the
 * exponent of far components, and 1e-5 near. Otherwise the differences are taken axis by axis.
 */
const PRODUCT_LIMIT = 1e4;

interface Terms {
  /** Centre of the components: everything is measured from here. */
  readonly centre: tf.Tensor;
  /** 1/σ², `[K, d]`. */
  readonly precision: tf.Tensor;
  /** (μ − centre), `[K, d]`. */
  readonly loc: tf.Tensor;
  /** log wₖ − Σ log σ − (d/2) log 2π, `[1, K]`. */
  readonly constant: tf.Tensor;
  /** `[K, 2d + 1]`, so that log wₖ + log N(x; μₖ, σₖ) is a row of this times (x², x, 1); absent when that would lose digits. */
  readonly product: tf.Tensor | undefined;
}

function termsOf(logWeights: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor): Terms {
  const d = loc.shape[1] as number;
  const precision = tf.reciprocal(tf.square(scale));
  const constant = tf.sub(logWeights, tf.add(tf.sum(tf.log(scale), 1), (d * LOG_2PI) / 2));
  const centre = tf.mean(loc, 0, true);
  const centred = tf.sub(loc, centre);
  const close = tf.tidy(() => {
    const reach = tf.mul(tf.max(tf.sum(tf.square(centred), 1)), tf.max(precision));
    // A record cannot choose by the value: what is right everywhere is taken.
    return isKnown(reach) && (reach.dataSync()[0] as number) < PRODUCT_LIMIT;
  });
  return {
    centre,
    precision,
    loc: centred,
    constant: tf.expandDims(constant, 0),
    product: close ? productOf() : undefined,
  };

  function productOf(): tf.Tensor {
    const weighted = tf.mul(centred, precision);
    const own = tf.sub(constant, tf.mul(0.5, tf.sum(tf.mul(centred, weighted), 1)));
    return tf.concat([tf.mul(precision, -0.5), weighted, tf.expandDims(own, 1)], 1);
  }
}

/** log wₖ + log N(xₙ; μₖ, σₖ) for a slice of centred points `[n, d]`: `[n, K]`. */
function table(x: tf.Tensor, { precision, loc, constant, product }: Terms): tf.Tensor {
  if (product !== undefined) return tf.matMul(withSquares(x), product, false, true);
  const d = x.shape[1] as number;
  const root = tf.sqrt(tf.mul(precision, 0.5));
  let out = constant;
  for (let j = 0; j < d; j++) {
    const column = (t: tf.Tensor) => tf.slice(t, [0, j], [-1, 1]);
    const before = out;
    out = tf.tidy(() => {
      const z = tf.mul(tf.sub(column(x), tf.transpose(column(loc))), tf.transpose(column(root)));
      return tf.sub(before, tf.square(z));
    });
  }
  return out;
}

/** (x², x, 1), `[n, 2d + 1]`. */
const withSquares = (x: tf.Tensor): tf.Tensor => tf.concat([tf.square(x), x, tf.ones([x.shape[0] as number, 1])], 1);

/** Runs `body` over slices of the rows of x. */
function slices<T>(x: tf.Tensor, components: number, body: (slice: tf.Tensor, start: number, size: number) => T): T[] {
  const n = x.shape[0] as number;
  const rows = Math.max(1, Math.floor(SLICE / components));
  const out: T[] = [];
  for (let start = 0; start < n; start += rows) {
    const size = Math.min(rows, n - start);
    out.push(body(tf.slice(x, [start, 0], [size, -1]), start, size));
  }
  return out;
}

const total = (parts: readonly tf.Tensor[]): tf.Tensor => parts.reduce((a, b) => tf.add(a, b));

/** The gradient for a weight g on every point: posterior probabilities R of the components, and their moments. */
function gradients(g: tf.Tensor, x: tf.Tensor, logWeights: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor): tf.Tensor[] {
  const d = loc.shape[1] as number;
  const terms = termsOf(logWeights, loc, scale);
  const pulls = tf.concat([tf.mul(terms.loc, terms.precision), terms.precision], 1);
  const parts = slices(x, loc.shape[0] as number, (slice, start, size) =>
    tf.tidy(() => {
      const centred = tf.sub(slice, terms.centre);
      const logs = table(centred, terms);
      const r = tf.exp(tf.sub(logs, logSumExp(logs, -1, true)));
      const dy = tf.expandDims(tf.slice(g, [start], [size]), 1);
      // ∂/∂x log p = Σₖ rₖ (μₖ − x)/σₖ².
      const [towards, stiffness] = tf.split(tf.matMul(r, pulls), 2, 1) as [tf.Tensor, tf.Tensor];
      const pull = tf.sub(towards, tf.mul(centred, stiffness));
      // Σₙ gₙ rₙₖ (x², x, 1): the weight rides on the narrow side of the product.
      const moments = tf.matMul(r, tf.mul(dy, withSquares(centred)), true, false);
      return [tf.mul(dy, pull), moments] as [tf.Tensor, tf.Tensor];
    }),
  );
  const [second, first, m] = tf.split(total(parts.map((p) => p[1])), [d, d, 1], 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const dLoc = tf.mul(tf.sub(first, tf.mul(terms.loc, m)), terms.precision);
  const spread = tf.add(tf.sub(second, tf.mul(tf.mul(terms.loc, first), 2)), tf.mul(tf.square(terms.loc), m));
  const dScale = tf.div(tf.sub(tf.mul(spread, terms.precision), m), scale);
  return [
    tf.concat(
      parts.map((p) => p[0]),
      0,
    ),
    tf.squeeze(m, [1]),
    dLoc,
    dScale,
  ];
}

/**
 * log Σₖ wₖ Πⱼ N(xⱼ; μₖⱼ, σₖⱼ²) of points `[n, d]`, from log w `[K]` (normalised), μ and σ `[K, d]`: `[n]`.
 *
 * @remarks Memory stays below about 150 MiB whatever n and K are, in the value and in the first gradient; derivatives of any
 * order exist, those from the second on with a memory of n·K.
 */
export function diagonalMixtureLogProb(
  x: tf.Tensor,
  logWeights: tf.Tensor,
  loc: tf.Tensor,
  scale: tf.Tensor,
): tf.Tensor {
  return tf.customGrad((...inputs: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [points, w, mu, sigma, save] = inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const terms = termsOf(w, mu, sigma);
    const parts = slices(points, mu.shape[0] as number, (slice) =>
      tf.tidy(() => logSumExp(table(tf.sub(slice, terms.centre), terms), -1)),
    );
    save([points, w, mu, sigma]);
    return {
      value: parts.length === 0 ? tf.zeros([0]) : tf.concat(parts, 0),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [points, w, mu, sigma] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        return gradients(dy, points, w, mu, sigma);
      },
    };
  })(x, logWeights, loc, scale);
}
