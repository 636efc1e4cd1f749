// A Gaussian plane tilted towards (1, 1). Prints the mean of a coordinate.
import * as tf from "@tensorflow/tfjs-core";
import { factor, infer, model, sample, snis } from "tilted";
import { normal } from "tilted/dist";

const tilted = model(function* () {
  const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
  yield* factor(tf.mul(-0.5, tf.sum(tf.square(tf.sub(z, 1)), -1)));
});
const { value } = (await infer(tilted, snis(1000), { seed: 1 })).mean("z");
console.log((value.data[0] + value.data[1]) / 2);
