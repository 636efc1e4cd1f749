/** Gradients of the mixture of diagonal normals: each input has its own, so that points alone do not pay for components. */
import * as tf from "@tensorflow/tfjs-core";
import { isDifferentiated, MIXTURE, MIXTURE_SLOPE, type SlopeAttrs } from "../kernels/mixture.ts";
import { mixtureRowsGradient, mixtureSlope } from "../mixture-slices.ts";
import { gradient, kernel } from "./define.ts";

export const MIXTURES: readonly tf.GradConfig[] = [
  gradient(MIXTURE, ["x", "rows", "y"], (dy, { x, rows, y }) => ({
    x: () => {
      // Within another gradient the slope has to be made of ops, which have derivatives.
      const attrs: SlopeAttrs = { of: y.dataId };
      const slope = isDifferentiated() ? mixtureSlope(x, rows) : kernel(MIXTURE_SLOPE, { x, rows }, attrs);
      return tf.mul(tf.expandDims(dy, 1), slope);
    },
    rows: () => mixtureRowsGradient(dy, x, rows),
  })),
];
