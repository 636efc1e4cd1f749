/** The loss that both contestants minimise, in ops of tfjs-core alone: data, first weights and noise are the same for both. */
import * as tf from "@tensorflow/tfjs-core";

const BATCH = 128;
const LATENT = 2;
const FEATURES = 784;
const ENCODER = [FEATURES, 1024, 512, 256];
const DECODER = [LATENT, 256, 512, 1024, FEATURES];

/** Numbers in (0, 1) by a linear congruence: enough for a benchmark. */
function noise(count: number, seed: number): Float32Array {
  let state = seed * 7919 + 17;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  });
}

export interface Weights {
  readonly [name: string]: { readonly data: Float32Array; readonly shape: readonly number[] };
}

/** The first weights. */
export function weights(): Weights {
  const all: { [name: string]: { data: Float32Array; shape: readonly number[] } } = {};
  const layer = (name: string, fanIn: number, fanOut: number) => {
    const limit = Math.sqrt(1 / fanIn);
    const data = noise(fanIn * fanOut, Object.keys(all).length).map((u) => (2 * u - 1) * limit);
    all[`${name}/w`] = { data, shape: [fanIn, fanOut] };
    all[`${name}/b`] = { data: new Float32Array(fanOut), shape: [fanOut] };
  };
  ENCODER.slice(1).forEach((width, i) => {
    layer(`e${i}`, ENCODER[i] as number, width);
  });
  layer("loc", 256, LATENT);
  layer("scale", 256, LATENT);
  DECODER.slice(1).forEach((width, i) => {
    layer(`d${i}`, DECODER[i] as number, width);
  });
  return all;
}

const DATA = noise(BATCH * FEATURES, 100).map((u) => Math.max(0, 2 * u - 1));
const NORMAL = noise(BATCH * LATENT, 101).map((u) => Math.log(u / (1 - u)) / 1.702);

type Params = { readonly [name: string]: tf.Tensor };

const silu = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));
const affine = (p: Params, name: string, x: tf.Tensor) =>
  tf.add(tf.matMul(x, p[`${name}/w`] as tf.Tensor), p[`${name}/b`] as tf.Tensor);

/** −ELBO per row: cross-entropy of the pixels plus the divergence of q(z|x) from N(0, I). */
export function loss(p: Params): tf.Tensor {
  const x = tf.tensor2d(DATA, [BATCH, FEATURES]);
  let h: tf.Tensor = x;
  for (let i = 0; i < ENCODER.length - 1; i++) h = silu(affine(p, `e${i}`, h));
  const loc = affine(p, "loc", h);
  const scale = tf.add(tf.softplus(affine(p, "scale", h)), 1e-4);
  h = tf.add(loc, tf.mul(scale, tf.tensor2d(NORMAL, [BATCH, LATENT])));
  const last = DECODER.length - 2;
  for (let i = 0; i < last; i++) h = silu(affine(p, `d${i}`, h));
  const logits = affine(p, `d${last}`, h);
  const entropy = tf.sum(tf.sub(tf.softplus(logits), tf.mul(logits, x)));
  const divergence = tf.sum(tf.sub(tf.mul(0.5, tf.add(tf.square(loc), tf.sub(tf.square(scale), 1))), tf.log(scale)));
  return tf.div(tf.add(entropy, divergence), BATCH);
}
