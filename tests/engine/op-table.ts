/**
 * Every op that a program may call, as data. The test beside it checks value, gradient and gradient of the gradient of each.
 */
import type { OpCase } from "./table/case.ts";
import { CONVOLUTIONS } from "./table/convolutions.ts";
import { ELEMENTWISE } from "./table/elementwise.ts";
import { PRODUCTS } from "./table/products.ts";
import { REDUCTIONS } from "./table/reductions.ts";
import { SHAPES } from "./table/shapes.ts";

export const OP_TABLE: readonly OpCase[] = [...ELEMENTWISE, ...REDUCTIONS, ...SHAPES, ...PRODUCTS, ...CONVOLUTIONS];
