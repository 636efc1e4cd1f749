/** How much a graph computes, and how many threads that is worth. */
import type { Graph, Node } from "./node.ts";
import { sizeOf } from "./node.ts";

/** Multiplications of one product or convolution; other primitives cost by the element and are not counted. */
function products({ op, inputs, shape, attrs }: Node): number {
  const [a, b] = inputs;
  if (a === undefined || b === undefined) return 0;
  if (op === "matmul") return sizeOf(shape) * (a.shape.at(attrs.transposeA ? -2 : -1) as number);
  if (op === "conv2d") return sizeOf(shape) * sizeOf(b.shape.slice(0, 3));
  if (op === "conv2dInputGrad") return sizeOf(a.shape) * sizeOf(b.shape.slice(0, 3));
  if (op === "conv2dFilterGrad") return sizeOf(b.shape) * sizeOf((attrs.shape ?? []).slice(0, 3));
  return 0;
}

/** Multiplications in all products and convolutions of a graph. */
export const multiplications = ({ nodes }: Graph): number => nodes.reduce((sum, node) => sum + products(node), 0);

/** Elements of everything that a graph makes. */
export const elements = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { op, shape }) => sum + (op === "input" || op === "constant" ? 0 : sizeOf(shape)), 0);

/** Multiplications, about half a millisecond of one core, from which further threads gain more than they cost. */
const WORTH_THREADS = 3e7;
/** More are rarely there for one program, and products of this size gain little from them. */
const MOST_THREADS = 4;

/** Threads that may run at once, at most so many. */
export const fewThreads = (): number => Math.min(MOST_THREADS, cores());

const cores = (): number => {
  const os =
    typeof process === "undefined" ? undefined : (process.getBuiltinModule?.("node:os") as typeof import("node:os"));
  return os?.availableParallelism() ?? 1;
};

/** Threads for a graph. */
export const threadsFor = (graph: Graph): number => (multiplications(graph) < WORTH_THREADS ? 1 : fewThreads());
