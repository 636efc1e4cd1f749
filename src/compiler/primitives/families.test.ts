/** The table of primitives: nothing is missing, and no family hides what another has. */
import { describe, expect, it } from "vitest";
import { CONVOLUTION_CONSTRUCTORS, CONVOLUTION_KERNELS, CONVOLUTIONS } from "./convolutions.ts";
import { ELEMENTWISE, ELEMENTWISE_CONSTRUCTORS, ELEMENTWISE_KERNELS } from "./elementwise.ts";
import { KERNELS, PRIMITIVES, primitive } from "./families.ts";
import { INDEXING, INDEXING_CONSTRUCTORS, INDEXING_KERNELS } from "./indexing.ts";
import { POOL_CONSTRUCTORS, POOL_KERNELS, POOLS } from "./pools.ts";
import { PRODUCT_CONSTRUCTORS, PRODUCT_KERNELS, PRODUCTS } from "./products.ts";
import { REDUCTION_CONSTRUCTORS, REDUCTION_KERNELS, REDUCTIONS } from "./reductions.ts";
import { SHAPE_CONSTRUCTORS, SHAPE_KERNELS, SHAPES } from "./shapes.ts";
import { SOURCES } from "./sources.ts";

const twice = (names: readonly string[]) => names.filter((name, i) => names.indexOf(name) !== i);
const keys = (...tables: readonly object[]) => tables.flatMap((table) => Object.keys(table));

describe("the families of primitives", () => {
  it("have no names in common", () => {
    const ops = keys(SOURCES, ELEMENTWISE, SHAPES, REDUCTIONS, INDEXING, PRODUCTS, CONVOLUTIONS, POOLS);
    expect(twice(ops)).toEqual([]);
    expect(Object.keys(PRIMITIVES)).toEqual(ops);
    const kernels = keys(
      ELEMENTWISE_KERNELS,
      SHAPE_KERNELS,
      REDUCTION_KERNELS,
      INDEXING_KERNELS,
      PRODUCT_KERNELS,
      CONVOLUTION_KERNELS,
      POOL_KERNELS,
    );
    expect(twice(kernels)).toEqual([]);
    expect(Object.keys(KERNELS)).toEqual(kernels);
    const constructors = keys(
      ELEMENTWISE_CONSTRUCTORS,
      SHAPE_CONSTRUCTORS,
      REDUCTION_CONSTRUCTORS,
      INDEXING_CONSTRUCTORS,
      PRODUCT_CONSTRUCTORS,
      CONVOLUTION_CONSTRUCTORS,
      POOL_CONSTRUCTORS,
    );
    expect(twice(constructors)).toEqual([]);
  });

  it.each(["float32", "float64"] as const)("can be lowered in %s, all but inputs", (precision) => {
    const missing = Object.keys(PRIMITIVES).filter((op) => {
      const { lower, decompose } = primitive(op)!;
      return lower === undefined && decompose?.[precision] === undefined;
    });
    expect(missing).toEqual(["input"]);
  });

  it("know no primitive of another name, those of every object included", () => {
    expect(primitive("nothing")).toBeUndefined();
    expect(primitive("constructor")).toBeUndefined();
  });
});
