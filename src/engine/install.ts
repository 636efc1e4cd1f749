/** Installs every repair of tfjs. Importing this file installs them; so does the start of an engine. */
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { GRADIENTS } from "./gradients/table.ts";
import { broadcastBatches } from "./kernels/batches.ts";
import { CONVOLUTION_KERNELS, PADDED_KERNELS } from "./kernels/convolution.ts";
import { ELEMENTARY } from "./kernels/elementary.ts";
import { castToBool, ELEMENTWISE_KERNELS, HIGH_RANK, UNARY } from "./kernels/elementwise.ts";
import { FUSED_KERNELS } from "./kernels/fused.ts";
import type { Wrapper } from "./kernels/heap.ts";
import { MIXTURE_KERNELS } from "./kernels/mixture.ts";
import { withShortRows } from "./kernels/short-rows.ts";
import { SUMS } from "./kernels/sums.ts";
import { TAKE_KERNELS } from "./kernels/take.ts";
import { TENSORFLOW_KERNELS, TENSORFLOW_WRAPPERS } from "./kernels/tensorflow.ts";
import { TILE } from "./kernels/tile.ts";
import { UNSUPPORTED_KERNELS } from "./kernels/unsupported.ts";
import { products } from "./matmul.ts";
import { replaceGradient, replaceKernel } from "./registry.ts";
import { repairTape } from "./tape.ts";

const KERNELS: readonly tf.KernelConfig[] = [
  ...SUMS,
  ...ELEMENTWISE_KERNELS,
  ...TAKE_KERNELS,
  ...CONVOLUTION_KERNELS,
  TILE,
  ...FUSED_KERNELS,
  ...MIXTURE_KERNELS,
  ...UNSUPPORTED_KERNELS,
];

/** Batches are made to agree first, then each product is brought to tfjs's fast routine. */
const matMul: Wrapper = { ...broadcastBatches, wrap: (original) => broadcastBatches.wrap(products.wrap(original)) };

const ARITHMETIC = HIGH_RANK.map(withShortRows);

/** Our wrappers of tfjs's kernels, so that none wraps another. */
const wrappers = new WeakSet<tf.KernelConfig>();

function installWrapped({ kernelName, wrap }: Wrapper, backend: string): void {
  const current = tf.getKernel(kernelName, backend);
  if (current === undefined || wrappers.has(current)) return;
  const ours = wrap(current);
  wrappers.add(ours);
  replaceKernel(ours);
}

function installKernels(kernels: readonly tf.KernelConfig[]): void {
  for (const config of kernels)
    if (tf.getKernel(config.kernelName, config.backendName) !== config) replaceKernel(config);
}

/** The kernels of the optional peer are there. */
const hasTensorflow = (): boolean => tf.getKernel("Add", "tensorflow") !== undefined;
const isEinsum = ({ kernelName }: tf.KernelConfig): boolean => kernelName === "Einsum";

/** One entry of each registry is enough to check: what overwrites one of ours (an import of @tensorflow/tfjs, a second wasm backend) overwrites them all. */
const areInstalled = (): boolean =>
  tf.getGradient("Exp") === GRADIENTS.find(({ kernelName }) => kernelName === "Exp") &&
  tf.getKernel("Sum", "wasm") === KERNELS.find(({ kernelName }) => kernelName === "Sum") &&
  (!hasTensorflow() || tf.getKernel("Einsum", "tensorflow") === TENSORFLOW_KERNELS.find(isEinsum));

/**
 * Repairs tfjs's kernels, gradients and tape. Idempotent: a repair that is in place stays, one that something else has
 * overwritten meanwhile (an import of `@tensorflow/tfjs` registers its own gradients) is put back.
 *
 * @remarks The registries are global to the process, so other users of tfjs in it get the repairs as well.
 */
export function installRepairs(): void {
  if (areInstalled()) return;
  repairTape();
  for (const config of GRADIENTS) if (tf.getGradient(config.kernelName) !== config) replaceGradient(config);
  installKernels(KERNELS);
  for (const wrapper of [castToBool, matMul, ...PADDED_KERNELS, ...ARITHMETIC, ...UNARY, ...ELEMENTARY]) {
    installWrapped(wrapper, "wasm");
  }
  if (!hasTensorflow()) return;
  installKernels(TENSORFLOW_KERNELS);
  for (const wrapper of TENSORFLOW_WRAPPERS) installWrapped(wrapper, "tensorflow");
}

installRepairs();
