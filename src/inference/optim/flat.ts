/** One buffer for a whole tree of parameters, so that an optimiser is one pass over memory whatever the number of layers. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../../core/shape.ts";
import type { ArrayTree } from "../../core/tree.ts";

/** Where a named array lies in a flat buffer. */
export interface Segment {
  readonly name: string;
  readonly shape: Shape;
  readonly offset: number;
  readonly size: number;
}

/** Names, shapes and places of a tree's arrays in a flat buffer, in the tree's order. */
export type Layout = readonly Segment[];

/** @throws `argument` when an array is not of floats. */
export function layoutOf(tree: ArrayTree): Layout {
  let offset = 0;
  return Object.entries(tree).map(([name, array]) => {
    if (array.dtype !== "float32") {
      fail("argument", `parameter "${name}" has dtype ${array.dtype}; only float32 can be learnt`, { site: name });
    }
    const segment = { name, shape: [...array.shape], offset, size: sizeOf(array.shape) };
    offset += segment.size;
    return segment;
  });
}

export const lengthOf = (layout: Layout): number => layout.reduce((n, segment) => n + segment.size, 0);

/** Copies a tree of this layout into a buffer. @throws `argument`, `shape` when names or shapes differ from the layout. */
export function fill(buffer: Float32Array, layout: Layout, tree: ArrayTree): Float32Array {
  const names = Object.keys(tree);
  for (const { name, shape, offset } of layout) {
    const array = tree[name];
    if (array === undefined) {
      return fail("argument", `parameter "${name}" is missing; there are: ${names.join(", ")}`, { site: name });
    }
    if (!sameShape(array.shape, shape)) {
      fail("shape", `parameter "${name}" has shape ${showShape(array.shape)}, expected ${showShape(shape)}`, {
        site: name,
      });
    }
    buffer.set(array.data, offset);
  }
  const extra = names.find((name) => !layout.some((segment) => segment.name === name));
  if (extra !== undefined) fail("argument", `unknown parameter "${extra}"`, { site: extra });
  return buffer;
}

export const flatten = (tree: ArrayTree, layout: Layout = layoutOf(tree)): Float32Array =>
  fill(new Float32Array(lengthOf(layout)), layout, tree);

/** A tree of arrays that share memory with the buffer. */
export const views = (buffer: Float32Array, layout: Layout): { [name: string]: NdArray } =>
  Object.fromEntries(
    layout.map(({ name, shape, offset, size }) => [name, ndarray(buffer.subarray(offset, offset + size), shape)]),
  );

/** A tree of arrays of their own. */
export const unflatten = (buffer: Float32Array, layout: Layout): { [name: string]: NdArray } =>
  views(buffer.slice(), layout);
