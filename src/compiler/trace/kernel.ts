/** What a kernel of the tracing backend is. */
import type { Builder } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";

/** Inputs of a kernel by name; lists of inputs (concat) by index, in order. */
export type Nodes = { readonly [name: string]: Node };

/** A kernel: the nodes of its outputs. Attributes are those that tfjs passes. */
export type TraceKernel = (builder: Builder, inputs: Nodes, attrs: never) => Node | readonly Node[];
