/** A training loop of one's own as an exported constant. */
import * as tf from "@tensorflow/tfjs-core";
import { ndarray, rootKey, train } from "tilted";
import { adam } from "tilted/optim";

const loss = ({ w }: { readonly [name: string]: tf.Tensor }) => tf.sum(tf.square(w as tf.Tensor));
export const trained = () =>
  train({ params: { w: ndarray(new Float32Array(2)) }, loss, optimizer: adam(0.1), steps: 3, key: rootKey(1) });
