/** Builds hash-consed graphs: equal expressions are one node, and the type of every node is inferred, which checks it. */
import { fail } from "../../core/errors.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import {
  type Attrs,
  type DType,
  type Graph,
  type Node,
  type NumericArray,
  type Output,
  type TensorType,
  textOf,
} from "./node.ts";

/** What every builder of graphs does; the constructors of `primitives/` are made of it. */
export interface Core {
  /** The primitive as such: no conversions of dtype, no defaults. */
  emit(op: string, inputs: readonly Node[], attrs?: Attrs): Node;
  /** A value given at run time. The same name twice is the same node, and must have the same shape and dtype. */
  input(name: string, shape: Shape, dtype?: DType): Node;
  /** A number fills the shape (and is kept as a double); an array has one element per place, row-major. */
  constant(value: number | NumericArray, shape?: Shape, dtype?: DType): Node;
  /** The program that computes `outputs`: reachable nodes only, and every input ever made. */
  finish(outputs: readonly Output[]): Graph;
}

/** What the builder needs to know of primitives. */
export interface Semantics {
  /** The type of `op` applied to `inputs`. Throws code `shape` where they do not agree. */
  type(op: string, inputs: readonly Node[], attrs: Attrs): TensorType;
  /** Asked for every node before it is made: a node to use instead, or undefined. */
  rewrite(op: string, inputs: readonly Node[], attrs: Attrs): Node | undefined;
}

const numberKey = (x: number) => (Object.is(x, -0) ? "-0" : String(x));
/** Arrays up to this length are compared by content, longer ones by identity: reading them would cost more than it saves. */
const comparedLength = 64;
const arrayIds = new WeakMap<NumericArray, number>();
let nextArrayId = 0;

function arrayKey(a: NumericArray): string {
  if (a.length <= comparedLength) return Array.from(a, numberKey).join();
  if (!arrayIds.has(a)) arrayIds.set(a, nextArrayId++);
  return `#${arrayIds.get(a)}`;
}

function attrsKey(attrs: Attrs): string {
  const fields = Object.entries(attrs).filter(([, v]) => v !== undefined && v !== false);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return fields
    .map(([k, v]) => `${k}=${k !== "value" ? JSON.stringify(v) : typeof v === "number" ? numberKey(v) : arrayKey(v)}`)
    .join(";");
}

/** An empty graph to build in. */
export function createCore({ type: typeOf, rewrite }: Semantics): Core {
  const known = new Map<string, Node>();
  const inputs = new Map<string, Node>();
  let nextId = 0;

  function emit(op: string, operands: readonly Node[], attrs: Attrs = {}): Node {
    const type = typeOf(op, operands, attrs);
    const key = `${op}(${operands.map((x) => x.id).join()})${attrsKey(attrs)}`;
    const found = known.get(key);
    if (found) return found;
    let node = rewrite(op, operands, attrs);
    if (!node) node = Object.freeze({ id: nextId++, op, inputs: operands, attrs, ...type });
    known.set(key, node);
    return node;
  }

  return {
    emit,
    input(name, shape, dtype = "float32") {
      const old = inputs.get(name);
      const node = emit("input", [], { name, shape, dtype });
      if (old && old !== node)
        fail(
          "argument",
          `Input ${name} was declared as ${old.dtype}${textOf(old.shape)} and again as ${dtype}${textOf(shape)}; give each input its own name.`,
        );
      inputs.set(name, node);
      return node;
    },
    constant(value, shape = typeof value === "number" ? [] : [value.length], dtype = "float32") {
      if (typeof value !== "number" && value.length !== sizeOf(shape))
        fail(
          "shape",
          `constant: found ${value.length} elements; expected ${sizeOf(shape)} for shape ${textOf(shape)}.`,
        );
      return emit("constant", [], { value, shape, dtype });
    },
    finish: (outputs) => collect([...inputs.values()], outputs),
  };
}

/** Operands are made before what uses them, so the order of ids is an order of evaluation. */
function collect(inputs: readonly Node[], outputs: readonly Output[]): Graph {
  const names = outputs.map((o) => o.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) fail("argument", `Two outputs are named ${twice}; give each its own name.`);
  const reached = new Set<Node>();
  const pending = outputs.map((o) => o.node);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    pending.push(...node.inputs);
  }
  return { inputs, nodes: [...reached].sort((a, b) => a.id - b.id), outputs };
}
