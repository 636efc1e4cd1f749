/** `tilted/nn`: networks as programs. */
export { type ConvolutionOptions, convolution } from "./convolution.ts";
export {
  type Activation,
  fanInUniform,
  glorotUniform,
  heNormal,
  type LinearOptions,
  linear,
  type MlpOptions,
  mlp,
  type Network,
  relu,
  silu,
  softplus,
  tanh,
  type WeightInit,
} from "./layers.ts";
