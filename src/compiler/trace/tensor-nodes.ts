/**
 * Which node the data of a tensor stands for. Symbolic data depends on an input of the trace and has no values; known data is in
 * the engine underneath and becomes a constant where the trace uses it, or an input when it is large.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "../../core/shape.ts";
import type { HostValues } from "../../core/tracing.ts";
import type { DType, Node, NumericArray } from "../ir/node.ts";
import type { Builder } from "../primitives/builder.ts";
import { type Place, type Refusals, textOfPlace } from "./refusals.ts";
import { engine } from "./with-backend.ts";

/** Elements from which a constant is an input instead. */
const LARGE = 1 << 20;

const DTYPES: readonly string[] = ["float32", "int32", "bool"];

/** What the nodes of a trace are made with. */
export interface TensorNodesOptions {
  readonly builder: Builder;
  readonly refusals: Pick<Refusals, "refuse">;
  place(): Place;
  readonly exact: boolean;
  readonly copies: WeakMap<object, NumericArray>;
  /** Values of known data. */
  valuesOf(id: object): NumericArray;
}

/** Nodes of the tensors of one trace, by the ids of their data. */
export interface TensorNodes {
  isSymbolic(id: object): boolean;
  /** The node of a tensor, of whichever kind. */
  of(tensor: tf.TensorInfo): Node;
  /** Data that stands for a node from now on. */
  symbolic(node: Node): object;
  /** Known data has a node already. */
  remember(id: object, node: Node): void;
  /** Known data was written: its node is a constant, unless it is large. */
  written(id: object, values: HostValues, shape: Shape, dtype: DType): void;
  readonly fixed: { readonly [name: string]: NumericArray };
  readonly origins: ReadonlyMap<NumericArray, string>;
}

export function createTensorNodes({
  builder,
  refusals,
  place,
  exact,
  copies,
  valuesOf,
}: TensorNodesOptions): TensorNodes {
  const symbols = new WeakMap<object, Node>();
  /** Known data as nodes, by data and then by shape. */
  const known = new WeakMap<object, Map<string, Node>>();
  const fixed: Record<string, NumericArray> = {};
  const origins = new Map<NumericArray, string>();

  function constant(values: NumericArray, shape: Shape, dtype: DType): Node {
    const [first] = values;
    if (values.length > 0 && values.every((v) => Object.is(v, first)))
      return builder.constant(Number(first), shape, dtype);
    const node = builder.constant(values, shape, dtype);
    origins.set(values, textOfPlace(place()));
    return node;
  }

  function remember(id: object, node: Node): void {
    const shapes = known.get(id) ?? new Map<string, Node>();
    shapes.set(node.shape.join(), node);
    known.set(id, shapes);
  }

  function knownNode({ dataId, shape, dtype }: tf.TensorInfo): Node {
    if (engine().state.tensorInfo.get(dataId) === undefined)
      refusals.refuse(`a tensor of shape [${shape.join()}] is used that was disposed before`);
    if (!DTYPES.includes(dtype)) refusals.refuse(`a tensor of ${dtype} cannot be compiled; use float32, int32 or bool`);
    const values = copies.get(dataId) ?? valuesOf(dataId);
    copies.set(dataId, values);
    const node = constant(values, shape, dtype as DType);
    if (values.length <= LARGE || typeof node.attrs.value === "number") return node;
    const name = `fixed${Object.keys(fixed).length}`;
    fixed[name] = values;
    return builder.input(name, shape, dtype as DType);
  }

  return {
    isSymbolic: (id) => symbols.has(id),
    of(tensor) {
      const found = symbols.get(tensor.dataId) ?? known.get(tensor.dataId)?.get(tensor.shape.join());
      if (found !== undefined) return found;
      const node = knownNode(tensor);
      remember(tensor.dataId, node);
      return node;
    },
    symbolic(node) {
      const id = {};
      symbols.set(id, node);
      return id;
    },
    remember,
    written(id, values, shape, dtype) {
      // A copy: the array is the caller's, who may write to it before the trace is compiled.
      if (exact || values.length <= LARGE) remember(id, constant(values.slice(), shape, dtype));
    },
    fixed,
    origins,
  };
}
