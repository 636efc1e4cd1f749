/**
 * log Σₖ exp(cₖ − ½ Σⱼ ((xⱼ − μₖⱼ)sₖⱼ)²) in ops, for engines without a fused kernel and for higher derivatives. The table of
 * points × components exists a slice at a time, in the value and in the gradient, which recomputes it instead of keeping it.
 */
import * as tf from "@tensorflow/tfjs-core";
import { isConcrete } from "../core/tracing.ts";
import { logSumExp } from "./ops.ts";

/** Entries of one slice of the table: 2 MiB in float32, of which a few exist at once and stay in the processor's cache. */
const SLICE = 1 << 19;

/**
 * The squares of (x − μ)s come from one matrix product as long as |xs|² stays below this: its rounding is then below 1e-3 in the
 * exponent of far components, and 1e-5 near. Otherwise the differences are taken axis by axis.
 */
const PRODUCT_LIMIT = 1e4;

/** Dimensions and number of components, of rows μ₁ …, s₁ …, c: `[2d + 1, K]`. */
export const sizesOf = ({ shape }: tf.TensorInfo): { readonly d: number; readonly components: number } => ({
  d: ((shape[0] as number) - 1) / 2,
  components: shape[1] as number,
});

interface Terms {
  /** Centre of the components: coordinates are relative to it. */
  readonly centre: tf.Tensor;
  /** s, `[K, d]`. */
  readonly root: tf.Tensor;
  /** s², `[K, d]`. */
  readonly precision: tf.Tensor;
  /** (μ − centre), `[K, d]`. */
  readonly loc: tf.Tensor;
  /** c, `[1, K]`. */
  readonly constant: tf.Tensor;
  /** `[K, 2d + 1]`, so that the exponent is a row of this times (x², x, 1); absent when that would lose digits. */
  readonly product: tf.Tensor | undefined;
}

function termsOf(rows: tf.Tensor): Terms {
  const { d } = sizesOf(rows);
  const [means, root] = tf.split(tf.transpose(tf.slice(rows, 0, 2 * d)), 2, 1) as [tf.Tensor, tf.Tensor];
  const constant = tf.slice(rows, 2 * d, 1);
  const precision = tf.square(root);
  const centre = tf.mean(means, 0, true);
  const loc = tf.sub(means, centre);
  const close = tf.tidy(() => {
    const reach = tf.mul(tf.max(tf.sum(tf.square(loc), 1)), tf.max(precision));
    // A traced graph cannot branch on the value: it takes the form that is right everywhere.
    return isConcrete(reach) && (reach.dataSync()[0] as number) < PRODUCT_LIMIT;
  });
  const productOf = (): tf.Tensor => {
    const weighted = tf.mul(loc, precision);
    const own = tf.sub(tf.squeeze(constant, [0]), tf.mul(0.5, tf.sum(tf.mul(loc, weighted), 1)));
    return tf.concat([tf.mul(precision, -0.5), weighted, tf.expandDims(own, 1)], 1);
  };
  const product = close ? productOf() : undefined;
  return { centre, root, precision, loc, constant, product };
}

/** The exponents for a slice of centred points `[n, d]`: `[n, K]`. */
function table(x: tf.Tensor, { root, loc, constant, product }: Terms): tf.Tensor {
  if (product !== undefined) return tf.matMul(withSquares(x), product, false, true);
  const d = x.shape[1] as number;
  let out = constant;
  for (let j = 0; j < d; j++) {
    const column = (t: tf.Tensor) => tf.slice(t, [0, j], [-1, 1]);
    const before = out;
    out = tf.tidy(() => {
      const z = tf.mul(tf.sub(column(x), tf.transpose(column(loc))), tf.transpose(tf.mul(column(root), Math.SQRT1_2)));
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

const joined = (parts: readonly tf.Tensor[], width: readonly number[]): tf.Tensor =>
  parts.length === 0 ? tf.zeros([0, ...width]) : tf.concat([...parts], 0);

/** The value, `[n]`. */
export const mixtureValue = (x: tf.Tensor, rows: tf.Tensor): tf.Tensor =>
  tf.tidy(() => {
    const terms = termsOf(rows);
    const body = (slice: tf.Tensor) => tf.tidy(() => logSumExp(table(tf.sub(slice, terms.centre), terms), -1));
    return joined(slices(x, sizesOf(rows).components, body), []);
  });

/** Posterior probabilities of the components for a slice of centred points, `[n, K]`. */
const posterior = (centred: tf.Tensor, terms: Terms): tf.Tensor => {
  const logs = table(centred, terms);
  return tf.exp(tf.sub(logs, logSumExp(logs, -1, true)));
};

/** The slope of every value in its point, Σₖ rₖ (μₖ − x)sₖ², `[n, d]`; r are the posterior probabilities of the components. */
export const mixtureSlope = (x: tf.Tensor, rows: tf.Tensor): tf.Tensor =>
  tf.tidy(() => {
    const terms = termsOf(rows);
    const pulls = tf.concat([tf.mul(terms.loc, terms.precision), terms.precision], 1);
    const body = (slice: tf.Tensor) =>
      tf.tidy(() => {
        const centred = tf.sub(slice, terms.centre);
        const [towards, stiffness] = tf.split(tf.matMul(posterior(centred, terms), pulls), 2, 1) as [
          tf.Tensor,
          tf.Tensor,
        ];
        return tf.sub(towards, tf.mul(centred, stiffness));
      });
    return joined(slices(x, sizesOf(rows).components, body), [sizesOf(rows).d]);
  });

/** The gradient in the rows for a weight g on every point: moments of the points under the posterior probabilities. */
export const mixtureRowsGradient = (g: tf.Tensor, x: tf.Tensor, rows: tf.Tensor): tf.Tensor =>
  tf.tidy(() => {
    const { d, components } = sizesOf(rows);
    const terms = termsOf(rows);
    const parts = slices(x, components, (slice, start, size) =>
      tf.tidy(() => {
        const centred = tf.sub(slice, terms.centre);
        const weights = tf.expandDims(tf.slice(g, [start], [size]), 1);
        // Σₙ gₙ rₙₖ (x², x, 1): the weight rides on the narrow side of the product.
        return tf.matMul(posterior(centred, terms), tf.mul(weights, withSquares(centred)), true, false);
      }),
    );
    if (parts.length === 0) return tf.zerosLike(rows);
    const sum = parts.reduce((a, b) => tf.add(a, b));
    const [second, first, mass] = tf.split(sum, [d, d, 1], 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const towards = tf.sub(first, tf.mul(terms.loc, mass));
    const spread = tf.add(tf.sub(second, tf.mul(tf.mul(terms.loc, first), 2)), tf.mul(tf.square(terms.loc), mass));
    return tf.transpose(tf.concat([tf.mul(towards, terms.precision), tf.neg(tf.mul(spread, terms.root)), mass], 1));
  });
