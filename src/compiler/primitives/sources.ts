/** Nodes without operands: inputs and constants. */

import { sizeOf } from "../../core/shape.ts";
import type { Core } from "../ir/builder.ts";
import type { Family, TypeRule } from "./primitive.ts";

const given: TypeRule = (_, attrs) => ({ shape: attrs.shape!, dtype: attrs.dtype! });

/** A splat larger than this is spread at run time instead of being written out. */
const LARGEST_WRITTEN = 64;

export const SOURCES = {
  /** An input of the model has its name there: nothing is made. */
  input: { type: given },
  constant: {
    type: given,
    lower(e, node) {
      const type = e.typeOf(node.dtype);
      const { value } = node.attrs;
      const spread = typeof value === "number" && sizeOf(node.shape) > LARGEST_WRITTEN;
      return spread
        ? e.op("Expand", [e.constant(type, [], value), e.ints(node.shape)])
        : e.constant(type, node.shape, value!);
    },
  },
} satisfies Family<Core>;
