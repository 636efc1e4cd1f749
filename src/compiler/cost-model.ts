/** How much a graph computes, and how many threads to use for it. */

import { sizeOf } from "../core/shape.ts";
import type { Graph } from "./ir/node.ts";
import { primitive } from "./primitives/families.ts";
import { availableThreads } from "./threads.ts";

/** Multiplications in all products and convolutions of a graph; other primitives cost by the element and are not counted. */
export const multiplications = ({ nodes }: Graph): number =>
  nodes.reduce((sum, node) => sum + (primitive(node.op)?.cost?.(node) ?? 0), 0);

/** Elements of everything that a graph makes. */
export const elements = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { inputs, shape }) => sum + (inputs.length === 0 ? 0 : sizeOf(shape)), 0);

/** Multiplications, about half a millisecond of one core, from which more threads pay off. */
const MIN_THREADED_MULTIPLICATIONS = 3e7;

/** Threads for a graph. */
export const threadsFor = (graph: Graph): number =>
  multiplications(graph) < MIN_THREADED_MULTIPLICATIONS ? 1 : availableThreads();
