/** Imports the package for its repairs of tfjs alone: a bundler that drops the unused import drops them. */
import * as tf from "@tensorflow/tfjs-core";
import "tilted";

const second = tf.grad(tf.grad((x: tf.Tensor) => tf.mul(x, tf.exp(x))));
console.log(second(tf.scalar(1)).dataSync()[0]);
