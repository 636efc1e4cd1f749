/** tfjs's registries of kernels and gradients: replacing an entry without the warning that tfjs prints. */
import * as tf from "@tensorflow/tfjs-core";

/** Registers a kernel in place of whatever had its name; tfjs warns on the console unless the old one is removed first. */
export function replaceKernel(config: tf.KernelConfig): void {
  if (tf.getKernel(config.kernelName, config.backendName) !== undefined) {
    tf.unregisterKernel(config.kernelName, config.backendName);
  }
  tf.registerKernel(config);
}

/** Registers a gradient in place of whatever had its name. */
export function replaceGradient(config: tf.GradConfig): void {
  if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName);
  tf.registerGradient(config);
}
