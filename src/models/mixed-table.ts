/** Tables whose columns are of several kinds: a likelihood with a distribution for each kind, and one feature for each class. */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray, toTensor } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import { fold } from "../core/key.ts";
import { broadcastShapes } from "../core/shape.ts";
import { checkExpansion, completeDistribution } from "../dist/complete.ts";
import type { Distribution } from "../dist/distribution.ts";
import { bernoulli, normal, oneHotCategorical, real } from "../dist/index.ts";
import { param } from "../effects/effects.ts";
import { logSoftmax, stopGradient } from "../engine/ops.ts";
import { linear } from "../nn/layers.ts";
import { type Likelihood, MIN_ENTRY_SCALE, UNIT_SCALE } from "./likelihoods.ts";

/** What a column holds: a number, 0 or 1, or one of so many classes by its index. */
export type ColumnKind = "real" | "binary" | { readonly classes: number };

const widthOf = (kind: ColumnKind): number => (typeof kind === "object" ? kind.classes : 1);

/** Features of a table as a model sees it: a column of k classes is k features, one of which is 1. */
export const tableWidth = (kinds: readonly ColumnKind[]): number => kinds.reduce((sum, kind) => sum + widthOf(kind), 0);

/**
 * A table and its mask in features: class indices become unit vectors, which are observed or missing as a whole.
 *
 * @param x - `[n, columns]`, anything (NaN) where the mask is 0.
 * @throws `shape` when x has not a column for each kind; `argument` when an observed class index is not one.
 */
export function tableFeatures(x: NdArray, mask: NdArray, kinds: readonly ColumnKind[]): [x: NdArray, mask: NdArray] {
  const [n = 0, columns] = x.shape;
  if (x.shape.length !== 2 || columns !== kinds.length || `${mask.shape}` !== `${x.shape}`)
    fail(
      "shape",
      `tableFeatures: expected data and mask of shape [n, ${kinds.length}], got [${x.shape}] and [${mask.shape}]`,
    );
  const width = tableWidth(kinds);
  const [features, observed] = [new Float32Array(n * width), new Float32Array(n * width)];
  for (let i = 0; i < n; i++) {
    let at = i * width;
    kinds.forEach((kind, j) => {
      const [value, isObserved] = [x.data[i * kinds.length + j] as number, mask.data[i * kinds.length + j] as number];
      const size = widthOf(kind);
      observed.fill(isObserved, at, at + size);
      if (typeof kind !== "object") features[at] = value;
      else if (isObserved === 1) {
        checkWhole(`tableFeatures: row ${i}, column ${j}`, "a class", value, 0, size - 1);
        features[at + value] = 1;
      }
      at += size;
    });
  }
  return [ndarray(features, [n, width]), ndarray(observed, [n, width])];
}

/** Neighbouring columns that share one distribution. */
interface ColumnBlock {
  readonly kind: ColumnKind;
  readonly from: number;
  readonly size: number;
}

/** Neighbouring columns of one kind together, so that a table costs as many kernels as it has changes of kind. */
function columnBlocks(kinds: readonly ColumnKind[]): readonly ColumnBlock[] {
  const blocks: ColumnBlock[] = [];
  let from = 0;
  for (const kind of kinds) {
    const last = blocks[blocks.length - 1];
    const size = widthOf(kind);
    if (typeof kind !== "object" && last?.kind === kind)
      blocks[blocks.length - 1] = { ...last, size: last.size + size };
    else blocks.push({ kind, from, size });
    from += size;
  }
  return blocks;
}

const part = (x: tf.Tensor, { from, size }: ColumnBlock): tf.Tensor =>
  tf.slice(x, [...Array<number>(x.rank - 1).fill(0), from], [...x.shape.slice(0, -1), size]);

/** Distribution of the features of a table: in a unit vector e_c, entry c has log-probability log p_c and the others 0. */
function tableOf(blocks: readonly ColumnBlock[], raw: tf.Tensor, sd: tf.Tensor): Distribution {
  const parts = blocks.map((block): Distribution => {
    const own = part(raw, block);
    if (block.kind === "real") return normal(own, part(sd, block));
    return block.kind === "binary" ? bernoulli({ logits: own }) : oneHotCategorical({ logits: own });
  });
  const isClass = blocks.map(({ kind }) => typeof kind === "object");
  const join = (each: (dist: Distribution, block: ColumnBlock, i: number) => tf.Tensor) =>
    tf.tidy(() =>
      tf.concat(
        parts.map((dist, i) => each(dist, blocks[i] as ColumnBlock, i)),
        -1,
      ),
    );
  const logs = (block: ColumnBlock) => logSoftmax(part(raw, block));
  return completeDistribution({
    family: "table",
    batchShape: raw.shape,
    eventShape: [],
    support: real,
    discrete: false,
    reparameterized: false,
    params: { raw, sd },
    logProb: (value) => {
      const given = toTensor(value);
      const x = tf.broadcastTo(given, broadcastShapes(given.shape, raw.shape));
      return join((dist, block, i) => {
        const own = part(x, block);
        return isClass[i] ? tf.mul(own, logs(block)) : dist.logProb(own);
      });
    },
    sample: (key, shape = [], first = 0) => join((dist, _, i) => dist.sample(fold(key, i), shape, first)),
    mean: () => join((dist) => dist.mean()),
    variance: () => join((dist) => dist.variance()),
    entropy: () =>
      join((dist, block, i) => (isClass[i] ? tf.neg(tf.mul(tf.exp(logs(block)), logs(block))) : dist.entropy())),
    expand: (larger) =>
      tableOf(blocks, tf.broadcastTo(raw, checkExpansion("table", raw.shape, larger) as number[]), sd),
    detach: () => tableOf(blocks, stopGradient(raw), stopGradient(sd)),
  });
}

/**
 * x_j ~ N(μ_j(z), σ_j²), Bernoulli or categorical, by the kind of the column; features as {@link tableFeatures} makes them. The mean of
 * a column of classes is their probabilities, so that an imputation shows its uncertainty.
 *
 * @throws `shape` when the model's features are not those of the kinds.
 */
export const mixedTable =
  (kinds: readonly ColumnKind[]): Likelihood =>
  (width, features) => {
    if (tableWidth(kinds) !== features)
      fail("shape", `mixedTable: these columns make ${tableWidth(kinds)} features, the model has ${features}`);
    const head = linear("decoder/table", width, features);
    const blocks = columnBlocks(kinds);
    return function* (h) {
      const raw = yield* head(h);
      const scale = yield* param("decoder/table/log-scale", () => ndarray(new Float32Array(features).fill(UNIT_SCALE)));
      const dist = tableOf(blocks, raw, tf.add(tf.softplus(scale), MIN_ENTRY_SCALE));
      return { dist, mean: dist.mean() };
    };
  };
