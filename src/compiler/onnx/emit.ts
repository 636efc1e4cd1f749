/** The emitter that lowerings write to: ONNX nodes in the current scope, and constants shared by all scopes. */
import type { DType, Node } from "../ir/node.ts";
import { type OnnxAttribute, type OnnxNode, type OnnxTensor, type OnnxType, onnxType, tensorOf } from "./model.ts";

/** The element type of real numbers in a compiled program. */
export type Precision = "float32" | "float64";

export interface Emitter {
  readonly precision: Precision;
  /** The ONNX type of a graph dtype: real numbers take the precision of the program. */
  typeOf(dtype: DType): OnnxType;
  /** Appends a node and gives the name of its one output. */
  op(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string,
  ): string;
  /** Appends a node with several outputs. */
  ops(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
  ): string[];
  /** The name of a constant; equal constants are one. A number fills the shape. */
  constant(type: OnnxType, shape: readonly number[], values: number | ArrayLike<number>): string;
  /** A vector of int64, as shapes and axes are given. */
  ints(values: readonly number[]): string;
  cast(x: string, type: OnnxType): string;
  /** A value computed once in this scope and found again under `key`. */
  once(key: string, make: () => string): string;
  /** The scope that nodes go to now. */
  readonly scope: Scope;
  /** Runs `body` with nodes going to `scope`. */
  within<T>(scope: Scope, body: () => T): T;
  readonly initializers: readonly OnnxTensor[];
}

/** Nodes of one (sub)graph, and what was computed in it under a key. */
export interface Scope {
  readonly nodes: OnnxNode[];
  readonly found: Map<string, string>;
}

export const emptyScope = (): Scope => ({ nodes: [], found: new Map() });

/** Constants up to this many elements are compared by content. */
const sharedLength = 64;

export function createEmitter(precision: Precision): Emitter {
  const initializers: OnnxTensor[] = [];
  const constants = new Map<string, string>();
  let count = 0;
  let scope = emptyScope();
  const fresh = () => `t${count++}`;
  const emitter: Emitter = {
    precision,
    typeOf: (dtype) => (dtype === "float32" ? precision : dtype),
    ops(op, inputs, outputCount, attributes = {}) {
      const outputs = Array.from({ length: outputCount }, fresh);
      scope.nodes.push({ op, inputs, outputs, attributes });
      return outputs;
    },
    op(op, inputs, attributes = {}, domain = "") {
      const output = fresh();
      scope.nodes.push({ op, inputs, outputs: [output], attributes, domain });
      return output;
    },
    constant(type, shape, values) {
      const tensor = tensorOf(fresh(), type, shape, values);
      const key =
        tensor.bytes.length > sharedLength * 8 ? tensor.name : `${type}[${shape.join()}]${tensor.bytes.join()}`;
      const known = constants.get(key);
      if (known) return known;
      initializers.push(tensor);
      constants.set(key, tensor.name);
      return tensor.name;
    },
    ints: (values) => emitter.constant("int64", [values.length], values),
    cast: (x, type) => emitter.once(`${x} as ${type}`, () => emitter.op("Cast", [x], { to: onnxType[type] })),
    once(key, make) {
      const known = scope.found.get(key);
      if (known) return known;
      const name = make();
      scope.found.set(key, name);
      return name;
    },
    get scope() {
      return scope;
    },
    within(inner, body) {
      const outer = scope;
      scope = inner;
      try {
        return body();
      } finally {
        scope = outer;
      }
    },
    initializers,
  };
  return emitter;
}

/** Lowers one node whose operands have the given names; gives the name of its value. */
export type Lowering = (e: Emitter, node: Node, args: readonly string[]) => string;
