/** Gradients of convolutions and pools. A convolution is bilinear, so its two derivatives and itself are expressed by each other. */
import * as tf from "@tensorflow/tfjs-core";
import type { ConvAttrs, PoolAttrs } from "../window-info.ts";
import { gradient, kernel, refuseGradient } from "./define.ts";
import { dilate, poolWindows } from "./windows.ts";

const pair = (n: number | [number, number] | null | undefined): [number, number] =>
  n === null || n === undefined ? [1, 1] : typeof n === "number" ? [n, n] : n;

/** d/dx of a convolution. */
const toInput = (
  inputShape: number[],
  dy: tf.Tensor,
  filter: tf.Tensor,
  { strides, pad, dataFormat, dimRoundingMode }: ConvAttrs,
) => kernel("Conv2DBackpropInput", { dy, filter }, { strides, pad, dataFormat, dimRoundingMode, inputShape });

/** d/dfilter of a convolution. */
const toFilter = (
  filterShape: number[],
  x: tf.Tensor,
  dy: tf.Tensor,
  { strides, pad, dataFormat, dimRoundingMode }: ConvAttrs,
) => kernel("Conv2DBackpropFilter", { x, dy }, { strides, pad, dataFormat, dimRoundingMode, filterShape });

const forward = (x: tf.Tensor, filter: tf.Tensor, { strides, pad, dataFormat, dimRoundingMode }: ConvAttrs) =>
  kernel("Conv2D", { x, filter }, { strides, pad, dataFormat, dimRoundingMode, dilations: [1, 1] });

/** A filter with gaps is a larger filter with zeros in it. */
const dilateFilter = (filter: tf.Tensor, [dh, dw]: [number, number]): tf.Tensor => dilate(dilate(filter, 0, dh), 1, dw);

const depthwise = (name: string, inputs: object, attrs: object): tf.Tensor =>
  kernel(`DepthwiseConv2dNative${name}`, inputs, attrs);

/** The adjoint of an average pool: each window hands its share back, as a depthwise convolution with ones does. */
function avgPoolToInput(dy: tf.Tensor, x: tf.Tensor, attrs: PoolAttrs): tf.Tensor {
  const [height, width] = pair(attrs.filterSize);
  const channels = x.shape[3] as number;
  const inside = tf.addN(poolWindows(tf.ones([1, ...x.shape.slice(1)]), 0, attrs));
  const { strides, pad, dimRoundingMode } = attrs;
  const ones = tf.ones([height, width, channels, 1]);
  const conv = { strides, pad, dimRoundingMode, dilations: [1, 1], dataFormat: "NHWC", inputShape: x.shape };
  return depthwise("BackpropInput", { dy: tf.div(dy, inside), filter: ones }, conv);
}

export const CONVOLUTION: readonly tf.GradConfig[] = [
  gradient<"x" | "filter", ConvAttrs>("Conv2D", ["x", "filter"], (dy, { x, filter }, attrs) => {
    const gaps = pair(attrs.dilations);
    const dense = () => dilateFilter(filter, gaps);
    return {
      x: () => toInput(x.shape, dy, dense(), attrs),
      filter: () => {
        const [h, w, ...channels] = filter.shape as [number, number, number, number];
        const size = [(h - 1) * gaps[0] + 1, (w - 1) * gaps[1] + 1, ...channels];
        const d = toFilter(size, x, dy, attrs);
        return gaps[0] === 1 && gaps[1] === 1 ? d : tf.stridedSlice(d, [0, 0, 0, 0], size, [gaps[0], gaps[1], 1, 1]);
      },
    };
  }),
  gradient<"dy" | "filter", ConvAttrs>("Conv2DBackpropInput", ["dy", "filter"], (ddx, { dy, filter }, attrs) => ({
    dy: () => forward(ddx, filter, attrs),
    filter: () => toFilter(filter.shape, ddx, dy, attrs),
  })),
  gradient<"x" | "dy", ConvAttrs>("Conv2DBackpropFilter", ["x", "dy"], (ddw, { x, dy }, attrs) => ({
    x: () => toInput(x.shape, dy, ddw, attrs),
    dy: () => forward(x, ddw, attrs),
  })),
  gradient("DepthwiseConv2dNative", ["x", "filter"], (dy, { x, filter }, attrs) => ({
    x: () => depthwise("BackpropInput", { dy, filter }, { ...attrs, inputShape: x.shape }),
    filter: () => depthwise("BackpropFilter", { x, dy }, { ...attrs, filterShape: filter.shape }),
  })),
  gradient("DepthwiseConv2dNativeBackpropInput", ["dy", "filter"], (ddx, { dy, filter }, attrs) => ({
    dy: () => depthwise("", { x: ddx, filter }, attrs),
    filter: () => depthwise("BackpropFilter", { x: ddx, dy }, { ...attrs, filterShape: filter.shape }),
  })),
  gradient("DepthwiseConv2dNativeBackpropFilter", ["x", "dy"], (ddw, { x, dy }, attrs) => ({
    x: () => depthwise("BackpropInput", { dy, filter: ddw }, { ...attrs, inputShape: x.shape }),
    dy: () => depthwise("", { x, filter: ddw }, attrs),
  })),
  // tfjs divides by the size of the window also at the edge, where its value divides by what lies inside the image.
  gradient<"x", PoolAttrs>("AvgPool", ["x"], (dy, { x }, attrs) => ({ x: () => avgPoolToInput(dy, x, attrs) })),
  gradient("MaxPool", ["x", "y"], (dy, { x, y }, attrs) => ({
    x: () => kernel("MaxPoolGrad", { dy, input: x, output: y }, attrs),
  })),
  // Linear in dy: its adjoint reads ddx where the first largest element of each window stands.
  gradient<"input" | "output", PoolAttrs>("MaxPoolGrad", ["input", "output"], (ddx, { input, output }, attrs) => ({
    dy: () => {
      const shown = poolWindows(input, Number.NEGATIVE_INFINITY, attrs);
      const slopes = poolWindows(ddx, 0, attrs);
      let free: tf.Tensor = tf.onesLike(output);
      const terms = shown.map((window, i) => {
        const first = tf.mul(free, tf.cast(tf.equal(window, output), "float32"));
        free = tf.sub(free, first);
        return tf.mul(first, slopes[i] as tf.Tensor);
      });
      return tf.addN(terms);
    },
    input: () => tf.zeros(input.shape),
    output: () => tf.zeros(output.shape),
  })),
  ...["Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2"].map((name) =>
    refuseGradient(name, "tfjs computes it wrongly; fold one axis into the batch and use conv2d"),
  ),
  refuseGradient("AvgPoolGrad", "use the gradient of avgPool, which does not need it"),
  ...["AvgPool3D", "AvgPool3DGrad", "MaxPool3D", "MaxPool3DGrad"].map((name) =>
    refuseGradient(name, "pool two axes with avgPool or maxPool, then the third"),
  ),
  ...["Dilation2D", "Dilation2DBackpropInput", "Dilation2DBackpropFilter"].map((name) =>
    refuseGradient(name, "write the dilation as a maximum over shifted slices"),
  ),
  ...["LRN", "LRNGrad"].map((name) =>
    refuseGradient(
      name,
      "write the normalisation as x / (bias + alpha · sum of squares)^beta, with avgPool or slices for the sum",
    ),
  ),
];
