/** ONNX models written by hand: the few protobuf messages a static graph needs (opset 21, IR 10). */
import { joinArrays } from "../../core/join.ts";
import { sizeOf } from "../../core/shape.ts";

/** Element types by their ONNX numbers. */
export const onnxType = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 } as const;
export type OnnxType = keyof typeof onnxType;

export type OnnxAttribute = number | string | readonly number[] | OnnxGraph | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Numbers are written as integers, `{ float }` as a float. */
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  readonly domain?: string;
}

export interface OnnxValue {
  readonly name: string;
  /** `sequence`: of float32 tensors, and then the shape means nothing. */
  readonly type: OnnxType | "sequence";
  readonly shape: readonly number[];
  /** The first axis may be of any length, the same for all such values of a run. */
  readonly perStep?: boolean;
}

export interface OnnxTensor extends OnnxValue {
  readonly type: OnnxType;
  /** Little-endian, row-major. */
  readonly bytes: Uint8Array;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const opset = 21;
const irVersion = 10;
export const contribDomain = "com.microsoft";

type Bytes = Uint8Array;
const text = new TextEncoder();

function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return [...out, Number(rest)];
}

const join = (parts: readonly ArrayLike<number>[]): Bytes => joinArrays(parts, (length) => new Uint8Array(length));

/** One field: a number is a varint, text and bytes are length-delimited. */
function field(id: number, value: number | string | Bytes): Bytes {
  if (typeof value === "number") return join([varint(id << 3), varint(value)]);
  const body = typeof value === "string" ? text.encode(value) : value;
  return join([varint((id << 3) | 2), varint(body.length), body]);
}

const fields = (id: number, values: readonly (string | Bytes)[]): Bytes => join(values.map((v) => field(id, v)));
const packed = (id: number, values: readonly number[]): Bytes => field(id, Uint8Array.from(values.flatMap(varint)));

function attribute(name: string, value: OnnxAttribute): Bytes {
  const head = field(1, name);
  const kind = (n: number) => field(20, n);
  if (typeof value === "number") return join([head, field(3, value), kind(2)]);
  if (typeof value === "string") return join([head, field(4, value), kind(3)]);
  if ("float" in value) {
    const bits = new Uint8Array(Float32Array.of(value.float).buffer);
    return join([head, [(2 << 3) | 5], bits, kind(1)]);
  }
  if ("nodes" in value) return join([head, field(6, graphMessage(value)), kind(5)]);
  return join([head, packed(8, value), kind(7)]);
}

const nodeMessage = (n: OnnxNode): Bytes =>
  join([
    fields(1, n.inputs),
    fields(2, n.outputs),
    field(4, n.op),
    fields(
      5,
      Object.entries(n.attributes ?? {}).map(([k, v]) => attribute(k, v)),
    ),
    n.domain ? field(7, n.domain) : [],
  ]);

const tensorMessage = (t: OnnxTensor): Bytes =>
  join([packed(1, t.shape), field(2, onnxType[t.type]), field(8, t.name), field(9, t.bytes)]);

function valueMessage({ name, type, shape, perStep }: OnnxValue): Bytes {
  if (type === "sequence")
    return join([field(1, name), field(2, field(4, field(1, field(1, field(1, onnxType.float32)))))]);
  const dims = fields(
    1,
    shape.map((n, axis) => (perStep === true && axis === 0 ? field(2, "steps") : field(1, n))),
  );
  const tensorType = join([field(1, onnxType[type]), field(2, dims)]);
  return join([field(1, name), field(2, field(1, tensorType))]);
}

const graphMessage = (g: OnnxGraph): Bytes =>
  join([
    fields(1, g.nodes.map(nodeMessage)),
    field(2, "g"),
    fields(5, g.initializers.map(tensorMessage)),
    fields(11, g.inputs.map(valueMessage)),
    fields(12, g.outputs.map(valueMessage)),
  ]);

/** The model file of `graph`, ready for an ONNX Runtime session. */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  const opsetMessage = (domain: string, version: number) => join([domain ? field(1, domain) : [], field(2, version)]);
  return join([
    field(1, irVersion),
    field(2, "tilted"),
    field(7, graphMessage(graph)),
    field(8, opsetMessage("", opset)),
    field(8, opsetMessage(contribDomain, 1)),
  ]);
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/** The bytes of `values` (a number fills the shape) as elements of `type`. */
export function tensorOf(
  name: string,
  type: OnnxType,
  shape: readonly number[],
  values: number | ArrayLike<number>,
): OnnxTensor {
  const list = typeof values === "number" ? { length: sizeOf(shape) } : values;
  const at = typeof values === "number" ? () => values : undefined;
  const data =
    type === "int64"
      ? BigInt64Array.from(Array.from(list as ArrayLike<number>, at ?? ((x: number) => x)), (x) => BigInt(x as number))
      : at
        ? new arrays[type](list.length).fill(values as number)
        : new arrays[type](values as ArrayLike<number>);
  return { name, type, shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
