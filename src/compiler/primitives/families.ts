/** All families of primitives side by side: one table for the whole compiler. */
import type { Core } from "../ir/builder.ts";
import { CONVOLUTION_CONSTRUCTORS, CONVOLUTION_KERNELS, CONVOLUTIONS } from "./convolutions.ts";
import { ELEMENTWISE, ELEMENTWISE_CONSTRUCTORS, ELEMENTWISE_KERNELS } from "./elementwise.ts";
import { INDEXING, INDEXING_CONSTRUCTORS, INDEXING_KERNELS } from "./indexing.ts";
import { POOL_CONSTRUCTORS, POOL_KERNELS, POOLS, type Pools } from "./pools.ts";
import type { Family, Primitive, TraceKernels } from "./primitive.ts";
import { PRODUCT_CONSTRUCTORS, PRODUCT_KERNELS, PRODUCTS } from "./products.ts";
import { REDUCTION_CONSTRUCTORS, REDUCTION_KERNELS, REDUCTIONS } from "./reductions.ts";
import { SHAPE_CONSTRUCTORS, SHAPE_KERNELS, SHAPES } from "./shapes.ts";
import { SOURCES } from "./sources.ts";

/** A builder with the constructors of every family; the last family knows all before it. */
export type Builder = Pools;

const CONSTRUCTORS: Omit<Builder, keyof Core> = {
  ...ELEMENTWISE_CONSTRUCTORS,
  ...SHAPE_CONSTRUCTORS,
  ...REDUCTION_CONSTRUCTORS,
  ...INDEXING_CONSTRUCTORS,
  ...PRODUCT_CONSTRUCTORS,
  ...CONVOLUTION_CONSTRUCTORS,
  ...POOL_CONSTRUCTORS,
};

/** A core with the constructors. Builders are made often, so they inherit them. */
export const withConstructors = (core: Core): Builder => Object.assign(Object.create(CONSTRUCTORS), core);

/** Every primitive by name. */
export const PRIMITIVES = {
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

const table: ReadonlyMap<string, Primitive<Builder>> = new Map(Object.entries(PRIMITIVES));

/** The primitive of a name; undefined when there is none. */
export const primitive = (op: string): Primitive<Builder> | undefined => table.get(op);

/** Whether a node is of a primitive. */
export const is = ({ op }: { readonly op: string }, name: Op): boolean => op === name;
