/** How much a graph computes, and how many threads that is worth. */

import { sizeOf } from "../core/shape.ts";
import type { Graph } from "./ir/node.ts";
import { primitive } from "./primitives/families.ts";
import { fewThreads } from "./threads.ts";

/** Multiplications in all products and convolutions of a graph; other primitives cost by the element and are not counted. */
export const multiplications = ({ nodes }: Graph): number =>
  nodes.reduce((sum, node) => sum + (primitive(node.op)?.cost?.(node) ?? 0), 0);

/** Elements of everything that a graph makes. */
export const elements = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { inputs, shape }) => sum + (inputs.length === 0 ? 0 : sizeOf(shape)), 0);

/** Multiplications, about half a millisecond of one core, from which further threads gain more than they cost. */
const WORTH_THREADS = 3e7;

/** Threads for a graph. */
export const threadsFor = (graph: Graph): number => (multiplications(graph) < WORTH_THREADS ? 1 : fewThreads());
