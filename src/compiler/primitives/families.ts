/** All families of primitives side by side: one table for the whole compiler. */
import type { Core } from "../ir/builder.ts";
import { CONVOLUTION_KERNELS, CONVOLUTIONS, convolutions } from "./convolutions.ts";
import { ELEMENTWISE, ELEMENTWISE_KERNELS, elementwise } from "./elementwise.ts";
import { INDEXING, INDEXING_KERNELS, indexing } from "./indexing.ts";
import { POOL_KERNELS, POOLS, type Pools, pools } from "./pools.ts";
import type { Family, Primitive, TraceKernels } from "./primitive.ts";
import { PRODUCT_KERNELS, PRODUCTS, products } from "./products.ts";
import { REDUCTION_KERNELS, REDUCTIONS, reductions } from "./reductions.ts";
import { SHAPE_KERNELS, SHAPES, shapes } from "./shapes.ts";
import { SOURCES } from "./sources.ts";

/** A builder with the constructors of every family: each takes the builder of those before it, and adds its own. */
export type Builder = Pools;

export const constructors = (core: Core): Builder =>
  pools(convolutions(products(indexing(reductions(shapes(elementwise(core)))))));

const PRIMITIVES = {
  ...SOURCES,
  ...ELEMENTWISE,
  ...SHAPES,
  ...REDUCTIONS,
  ...INDEXING,
  ...PRODUCTS,
  ...CONVOLUTIONS,
  ...POOLS,
} satisfies Family<Builder>;

/** The name of a primitive. */
export type Op = keyof typeof PRIMITIVES;

/** Kernels of tfjs that become a primitive, or a few of them. */
export const KERNELS: TraceKernels<Builder> = {
  ...ELEMENTWISE_KERNELS,
  ...SHAPE_KERNELS,
  ...REDUCTION_KERNELS,
  ...INDEXING_KERNELS,
  ...PRODUCT_KERNELS,
  ...CONVOLUTION_KERNELS,
  ...POOL_KERNELS,
};

const table: Family<Builder> = PRIMITIVES;

/** The primitive of a name; undefined when there is none. */
export const primitive = (op: string): Primitive<Builder> | undefined => table[op];

/** Whether a node is of one of these primitives. */
export const is = ({ op }: { readonly op: string }, ...names: readonly Op[]): boolean => names.includes(op as Op);
