/** Networks as programs: a layer yields its parameters with `param` and returns a tensor. There is no other state. */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../core/array.ts";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import { normal, uniform } from "../core/random/draws.ts";
import { showShape, sizeOf } from "../core/shape.ts";
import { type ParamEffect, type Program, param } from "../effects/effects.ts";
import { stopGradient } from "../engine/ops.ts";
import { silu } from "../engine/silu.ts";

/** A function of a tensor that is a program with parameters. */
export type Network<N extends string = string> = (x: tf.Tensor) => Program<ParamEffect<N>, tf.Tensor>;

/** A function applied elementwise. */
export type Activation = (x: tf.Tensor) => tf.Tensor;

export { silu };

export const tanh: Activation = (x) => tf.tanh(x);
export const relu: Activation = (x) => tf.relu(x);
export const softplus: Activation = (x) => tf.softplus(x);

/** First value of a weight matrix `[fanIn, fanOut]`. */
export type WeightInit = (key: Key, fanIn: number, fanOut: number) => NdArray;

/** Uniform on ±√(1/fanIn): He et al. 2015 with a = √5, the custom of PyTorch's linear layers. */
export const fanInUniform: WeightInit = (key, fanIn, fanOut) => {
  const limit = Math.sqrt(1 / fanIn);
  const data = uniform(key, fanIn * fanOut).map((u) => (2 * u - 1) * limit);
  return ndarray(data, [fanIn, fanOut]);
};

/** Uniform on ±√(6/(fanIn + fanOut)): Glorot & Bengio 2010. */
export const glorotUniform: WeightInit = (key, fanIn, fanOut) => {
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  const data = uniform(key, fanIn * fanOut).map((u) => (2 * u - 1) * limit);
  return ndarray(data, [fanIn, fanOut]);
};

/** Normal with variance 2/fanIn: He et al. 2015, for rectifiers. */
export const heNormal: WeightInit = (key, fanIn, fanOut) => {
  const sd = Math.sqrt(2 / fanIn);
  return ndarray(
    normal(key, fanIn * fanOut).map((x) => x * sd),
    [fanIn, fanOut],
  );
};

/** Options of {@link linear}. */
export interface LinearOptions {
  readonly weightInit?: WeightInit;
  /** Adds a bias, started at 0. Default true. */
  readonly bias?: boolean;
  /** Divides the weight by its largest singular value, so that the layer is 1-Lipschitz (Miyato et al. 2018). */
  readonly spectralNorm?: boolean;
}

/** Power iterations per evaluation: enough, given the gap between the first singular values of a trained layer. */
const POWER_ITERATIONS = 12;

/** W / σ₁(W), where σ₁ = uᵀWv by power iteration from a fixed start; u and v count as constants in the gradient. */
export function spectrallyNormalized(weight: tf.Tensor): tf.Tensor {
  const rows = weight.shape[0] as number;
  const { u, v } = tf.tidy(() => {
    const w = stopGradient(weight);
    const unit = (x: tf.Tensor) => tf.div(x, tf.maximum(tf.norm(x), 1e-12));
    // A start without symmetry: it is orthogonal to the leading direction with probability zero.
    let left = unit(
      tf.tensor2d(
        Float32Array.from({ length: rows }, (_, i) => 1 + Math.cos(i * 2.3)),
        [1, rows],
      ),
    );
    let right = unit(tf.matMul(left, w));
    for (let i = 0; i < POWER_ITERATIONS; i++) {
      left = unit(tf.matMul(right, w, false, true));
      right = unit(tf.matMul(left, w));
    }
    return { u: left, v: right };
  });
  const sigma = tf.sum(tf.mul(tf.matMul(stopGradient(u), weight), stopGradient(v)));
  return tf.div(weight, sigma);
}

/** x·W for x of any rank: the leading axes are rows. */
function rowsTimes(x: tf.Tensor, weight: tf.Tensor, name: string): tf.Tensor {
  const [fanIn, fanOut] = weight.shape as [number, number];
  const width = x.shape[x.rank - 1];
  if (x.rank === 0 || width !== fanIn) {
    fail("shape", `layer "${name}" takes ${fanIn} features on the last axis, got shape ${showShape(x.shape)}`);
  }
  const lead = x.shape.slice(0, -1);
  const flat = x.rank === 2 ? x : tf.reshape(x, [sizeOf(lead), fanIn]);
  const out = tf.matMul(flat as tf.Tensor2D, weight as tf.Tensor2D);
  return x.rank === 2 ? out : tf.reshape(out, [...lead, fanOut]);
}

/**
 * An affine layer y = x·W + b, over the last axis of x. Parameters `name/weight` `[fanIn, fanOut]` and `name/bias` `[fanOut]`.
 *
 * @throws `shape` when the last axis of x has not `fanIn` entries.
 */
export function linear<const N extends string>(
  name: N,
  fanIn: number,
  fanOut: number,
  options: LinearOptions = {},
): Network<`${N}/weight` | `${N}/bias`> {
  const { weightInit = fanInUniform, bias = true, spectralNorm = false } = options;
  return function* (x) {
    const raw = yield* param(`${name}/weight`, (key) => weightInit(key, fanIn, fanOut));
    const weight = spectralNorm ? spectrallyNormalized(raw) : raw;
    const y = rowsTimes(x, weight, name);
    if (!bias) return y;
    return tf.add(y, yield* param(`${name}/bias`, () => ndarray(new Float32Array(fanOut))));
  };
}

/** Options of {@link mlp}. */
export interface MlpOptions extends LinearOptions {
  /** Between layers. Default {@link silu}. */
  readonly activation?: Activation;
  /** After the last layer. Default: none. */
  readonly output?: Activation;
}

/**
 * A multilayer perceptron: affine layers `widths[0] → widths[1] → …`, with an activation between them. Layers are named
 * `name/0`, `name/1`, ….
 *
 * @throws `argument` unless there are at least two widths, all positive integers.
 */
export function mlp(name: string, widths: readonly number[], options: MlpOptions = {}): Network {
  if (widths.length < 2) fail("argument", `mlp("${name}"): widths must be two or more, got ${showShape(widths)}`);
  for (const width of widths) checkWhole(`mlp("${name}")`, "every width", width);
  const { activation = silu, output, ...rest } = options;
  const layers = widths.slice(1).map((width, i) => linear(`${name}/${i}`, widths[i] as number, width, rest));
  return function* (x) {
    let h = x;
    for (const [i, layer] of layers.entries()) {
      h = yield* layer(h);
      if (i < layers.length - 1) h = activation(h);
    }
    return output === undefined ? h : output(h);
  };
}
