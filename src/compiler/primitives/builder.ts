/** Builders of graphs whose nodes are primitives, with rules that are applied while nodes are made. */
import { fail } from "../../core/errors.ts";
import { createCore } from "../ir/builder.ts";
import type { Attrs, Node } from "../ir/node.ts";
import { type Builder, type Op, primitive, withConstructors } from "./families.ts";

export type { Builder } from "./families.ts";

/** A rule applied while a node is being made: a node to use instead, or undefined. It may build through `builder`. */
export type Rewrite = (builder: Builder, op: Op, inputs: readonly Node[], attrs: Attrs) => Node | undefined;

export interface BuilderOptions {
  readonly rewrite?: Rewrite;
}

/** An empty graph to build in. Constructors bring dtypes together and check shapes (error code `shape`). */
export function createBuilder({ rewrite }: BuilderOptions = {}): Builder {
  const builder: Builder = withConstructors(
    createCore({
      type: (op, inputs, attrs) =>
        (primitive(op) ?? fail("unsupported", `The graph has no primitive ${op}.`)).type(inputs, attrs, op),
      rewrite: (op, inputs, attrs) => rewrite?.(builder, op as Op, inputs, attrs),
    }),
  );
  return builder;
}
