/** What tfjs's attributes say of the windows of convolutions and pools, and what it works out of them: sizes, strides, paddings. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";

/** The shape of an image, [n, h, w, c], or of a filter, [h, w, c, out]. */
export type Four = [number, number, number, number];

/** One number for both axes of an image, or one for each. */
type PerAxis = number | [number, number];

export type Pad = "valid" | "same" | number | [number, number][];

interface WindowAttrs {
  readonly strides: PerAxis;
  readonly pad: Pad;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

export interface ConvAttrs extends WindowAttrs {
  readonly dilations?: PerAxis;
  readonly dataFormat?: string;
}

export interface PoolAttrs extends WindowAttrs {
  readonly filterSize: PerAxis;
}

export type WindowInfo = tf.backend_util.Conv2DInfo;

/**
 * A numeric pad spelt out: tfjs computes the width of the output from the *height* of the filter when it is a number. The functions of
 * tfjs take explicit pads, which their types do not say.
 */
export const explicitPad = (pad: Pad): "same" | "valid" => {
  const spelt: Pad =
    typeof pad === "number"
      ? [
          [0, 0],
          [pad, pad],
          [pad, pad],
          [0, 0],
        ]
      : pad;
  return spelt as "same";
};

/** @throws `unsupported` where channels come first. */
export function convInfo(image: Shape, filter: Shape, attrs: ConvAttrs, depthwise = false): WindowInfo {
  if (attrs.dataFormat === "NCHW") fail("unsupported", 'convolution: the engines want dataFormat "NHWC"');
  return tf.backend_util.computeConv2DInfo(
    [...image] as Four,
    [...filter] as Four,
    attrs.strides,
    attrs.dilations ?? 1,
    explicitPad(attrs.pad),
    attrs.dimRoundingMode,
    depthwise,
  );
}

export const poolInfo = (image: Shape, { filterSize, strides, pad, dimRoundingMode }: PoolAttrs): WindowInfo =>
  tf.backend_util.computePool2DInfo([...image] as Four, filterSize, strides, 1, explicitPad(pad), dimRoundingMode);
