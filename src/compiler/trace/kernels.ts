/** The kernels of tfjs as primitives of the graph: one table, by families of kernels. */
import type { TraceKernel } from "./kernel.ts";
import { ELEMENTWISE } from "./kernels-elementwise.ts";
import { REDUCTIONS } from "./kernels-reduce.ts";
import { SHAPES } from "./kernels-shape.ts";
import { TAKES } from "./kernels-take.ts";
import { WINDOWS } from "./kernels-window.ts";

export const KERNELS: { readonly [kernelName: string]: TraceKernel } = {
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...SHAPES,
  ...TAKES,
  ...WINDOWS,
};
