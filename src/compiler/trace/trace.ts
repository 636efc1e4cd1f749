/**
 * Tracing: a tfjs backend whose kernels write down what they are asked to do. Forward pass and gradients of any order are recorded
 * as tfjs dispatches them, so that every repair of `src/engine` holds for compiled programs too.
 *
 * A kernel whose inputs are all known is run at once by the engine underneath: its result is known too, and may be read. What
 * depends on an input of the record is symbolic: reading it is an error that says what to write instead.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import type { Shape } from "../../core/shape.ts";
import { currentTracer, type HostValues, type Tracer, tracedArrays, withTracer } from "../../core/tracing.ts";
import { type Builder, createBuilder, type Rewrite } from "../ir/graph.ts";
import { type DType, type Graph, type Node, type NumericArray, sizeOf } from "../ir/node.ts";
import type { TraceKernel } from "./kernel.ts";
import { createRefusals, type Place, textOfPlace } from "./refusals.ts";
import { installTraceKernels, type Recording } from "./trace-kernels.ts";
import { type Backend, engine, on, randomBy } from "./with-backend.ts";

export const TRACE_BACKEND = "tilted-trace";

/** A tensor that a record starts from. */
export interface TraceInput {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** An input that the host makes before every run. */
export interface HostInput {
  readonly name: string;
  make(): HostValues;
  /** The same into memory that is there. */
  readonly fill?: (to: HostValues) => void;
}

/** What a trace gives. */
export interface Traced {
  readonly graph: Graph;
  readonly host: readonly HostInput[];
  /** Large values that were there before the trace: inputs of every run, so that no copy of them is stored. */
  readonly fixed: { readonly [name: string]: NumericArray };
  readonly reports: readonly { readonly name: string; read(values: HostValues): void }[];
  /** Names of outputs that hold bools: where one of them is 0 the run does not count. */
  readonly guards: readonly string[];
  /** Where constants that came from a written array were made, for messages: by their values. */
  readonly origins: ReadonlyMap<NumericArray, string>;
}

/** Elements of a guard that are looked at one by one after a run; more are joined in the run. */
const SMALL_GUARD = 4096;

/** How to trace. */
export interface TraceOptions {
  readonly rewrite?: Rewrite;
  /** Records also what is known already, so that a program in double precision computes it so. */
  readonly exact?: boolean;
  /** What it is that is being recorded, for messages. */
  readonly what?: string;
  /** Copies of data that was there before, shared by several traces. */
  readonly copies?: WeakMap<object, NumericArray>;
}

/** Elements from which a constant is an input instead. */
const LARGE = 1 << 20;

const DTYPES: readonly string[] = ["float32", "int32", "bool"];

/** The symbolic tensors of one trace, and the builder that they belong to. */
class Trace implements Tracer, Recording {
  site: string | undefined;
  readonly builder: Builder;
  readonly hosts: HostInput[] = [];
  readonly fixed: Record<string, NumericArray> = {};
  readonly reports: { name: string; node: Node; read(values: HostValues): void }[] = [];
  readonly guards: Node[] = [];
  readonly origins = new Map<NumericArray, string>();
  readonly #what: string;
  readonly #exact: boolean;
  readonly #copies: WeakMap<object, NumericArray>;
  readonly #nodes = new WeakMap<object, Node>();
  /** Known data as nodes, by data and then by shape. */
  readonly #constants = new WeakMap<object, Map<string, Node>>();
  readonly #arrays = new Map<HostValues, string>();
  readonly #random = Math.random;
  /** The engine underneath. */
  readonly #name: string;
  readonly #under: Backend;

  constructor({ rewrite, exact = false, what = "this step", copies = new WeakMap() }: TraceOptions) {
    this.#copies = copies;
    this.builder = createBuilder(rewrite === undefined ? {} : { rewrite });
    this.#what = what;
    this.#exact = exact;
    [this.#name, this.#under] = [engine().backendName, engine().backendInstance];
  }

  /** The backend that tfjs sees. */
  readonly backend: Backend & { numDataIds(): number; read(id: object): Promise<never> } = {
    write: (values, shape, dtype) => this.#write(values as HostValues, shape, dtype),
    readSync: (id) => (this.#nodes.has(id) ? this.refusals.read() : this.#owner(id).readSync(id)),
    read: (id) => this.#readLater(id),
    disposeData: (id) => this.#nodes.has(id) || this.#under.disposeData(id),
    incRef: (id) => {
      if (!this.#nodes.has(id)) this.#under.incRef(id);
    },
    refCount: (id) => (this.#nodes.has(id) ? 1 : this.#under.refCount(id)),
    numDataIds: () => 0,
    memory: () => ({ unreliable: true }),
    epsilon: () => this.#under.epsilon(),
    floatPrecision: () => this.#under.floatPrecision(),
  };

  /** The backend that holds known data. */
  #owner(id: object): Backend {
    const { backend } = engine().state.tensorInfo.get(id) ?? {};
    return backend === undefined || backend === this.backend ? this.#under : backend;
  }

  #place(): Place {
    return { what: this.#what, site: this.site };
  }

  readonly refusals = createRefusals(() => this.#place());

  /** `data()`, which nobody need await: the record fails for it, and a promise that nobody handles would end the process. */
  async #readLater(id: object): Promise<never> {
    try {
      return this.backend.readSync(id) as never;
    } catch (error) {
      if (currentTracer() !== this) throw error;
      return new Promise<never>(() => undefined);
    }
  }

  /** A tensor that comes into being: known, unless its values are made anew for every run. */
  #write(values: HostValues, shape: number[], dtype: tf.DataType): object {
    const make = tracedArrays.get(values);
    if (make === undefined) {
      const id = this.#under.write(values, shape, dtype);
      // A copy: the array is the caller's, who may write to it before the record is compiled.
      if (this.#exact || values.length <= LARGE)
        this.#remember(id, this.#constant(values.slice(), shape, dtype as DType));
      return id;
    }
    const name = this.#arrays.get(values) ?? this.#add(make);
    this.#arrays.set(values, name);
    const flat = this.builder.input(name, [values.length], values instanceof Int32Array ? "int32" : "float32");
    const id = {};
    this.#nodes.set(id, this.builder.cast(this.builder.reshape(flat, shape), dtype as DType));
    return id;
  }

  #add(make: () => HostValues, fill?: (to: HostValues) => void): string {
    const name = `host${this.hosts.length}`;
    this.hosts.push({ name, make, ...(fill && { fill }) });
    return name;
  }

  #constant(values: NumericArray, shape: Shape, dtype: DType): Node {
    const [first] = values;
    if (values.length > 0 && values.every((v) => Object.is(v, first)))
      return this.builder.constant(Number(first), shape, dtype);
    const node = this.builder.constant(values, shape, dtype);
    this.origins.set(values, textOfPlace(this.#place()));
    return node;
  }

  #remember(id: object, node: Node): void {
    const known = this.#constants.get(id) ?? new Map<string, Node>();
    known.set(node.shape.join(), node);
    this.#constants.set(id, known);
  }

  /** The node of a tensor, of whichever kind. */
  node(tensor: tf.TensorInfo): Node {
    const symbolic = this.#nodes.get(tensor.dataId);
    if (symbolic !== undefined) return symbolic;
    const shape = tensor.shape.join();
    const known = this.#constants.get(tensor.dataId)?.get(shape);
    if (known !== undefined) return known;
    if (engine().state.tensorInfo.get(tensor.dataId) === undefined)
      this.refusals.refuse(`a tensor of shape [${shape}] is used that was disposed before`);
    if (!DTYPES.includes(tensor.dtype))
      this.refusals.refuse(`a tensor of ${tensor.dtype} cannot be compiled; use float32, int32 or bool`);
    const values = this.#copies.get(tensor.dataId) ?? this.#owner(tensor.dataId).readSync(tensor.dataId);
    this.#copies.set(tensor.dataId, values);
    const dtype = tensor.dtype as DType;
    let node = this.#constant(values, tensor.shape, dtype);
    if (values.length > LARGE && typeof node.attrs.value !== "number") {
      const name = `fixed${Object.keys(this.fixed).length}`;
      this.fixed[name] = values;
      node = this.builder.input(name, tensor.shape, dtype);
    }
    this.#remember(tensor.dataId, node);
    return node;
  }

  /** A new symbolic tensor. */
  tensor(node: Node): tf.TensorInfo {
    const dataId = {};
    this.#nodes.set(dataId, node);
    return { dataId, shape: [...node.shape], dtype: node.dtype };
  }

  /** A new symbolic tensor that tfjs tracks. */
  tracked(node: Node): tf.Tensor {
    const make = tf.engine() as unknown as {
      makeTensorFromTensorInfo(info: tf.TensorInfo, backend: object): tf.Tensor;
    };
    return make.makeTensorFromTensorInfo(this.tensor(node), this.backend);
  }

  /** Runs on the engine underneath, with nothing recording. */
  untraced<T>(body: () => T): T {
    return randomBy(this.#random, () => withTracer(undefined, () => on(this.#name, this.#under, body)));
  }

  /** One kernel. */
  run(name: string, kernel: TraceKernel, inputs: tf.NamedTensorInfoMap, attrs: tf.NamedAttrMap) {
    const given = Object.entries(inputs).filter(([, x]) => x !== undefined && x !== null) as [string, tf.TensorInfo][];
    if (given.every(([, x]) => !this.#nodes.has(x.dataId))) {
      const known = on(this.#name, this.#under, () =>
        tf.engine().runKernel(name, inputs as unknown as tf.NamedTensorMap, attrs),
      ) as tf.Tensor | tf.Tensor[];
      if (this.#exact && given.length > 0) this.#shadow(known, this.#apply(kernel, given, attrs));
      return known;
    }
    const made = this.#apply(kernel, given, attrs);
    return Array.isArray(made) ? made.map((node) => this.tensor(node)) : this.tensor(made as Node);
  }

  #apply(
    kernel: TraceKernel,
    given: readonly [string, tf.TensorInfo][],
    attrs: tf.NamedAttrMap,
  ): Node | readonly Node[] {
    const nodes = Object.fromEntries(given.map(([key, x]) => [key, this.node(x)]));
    return kernel(this.builder, nodes, attrs as never);
  }

  #shadow(known: tf.Tensor | tf.Tensor[], nodes: Node | readonly Node[]): void {
    const tensors = Array.isArray(known) ? known : [known];
    (Array.isArray(nodes) ? nodes : [nodes]).forEach((node: Node, i) => {
      this.#remember((tensors[i] as tf.Tensor).dataId, node);
    });
  }

  isSymbolic = (tensor: tf.Tensor): boolean => this.#nodes.has(tensor.dataId);

  hostInput(make: () => HostValues, shape: Shape, fill?: (to: HostValues) => void): tf.Tensor {
    const values = this.untraced(make);
    const dtype = values instanceof Int32Array ? "int32" : "float32";
    return this.tracked(this.builder.input(this.#add(make, fill), shape, dtype));
  }

  hostArray<A extends HostValues>(make: () => A): A {
    const values = this.untraced(make).slice() as A;
    tracedArrays.set(values, make);
    return values;
  }

  guard(ok: tf.Tensor): void {
    this.guards.push(this.builder.cast(this.node(ok), "bool"));
  }

  alias(tensor: tf.Tensor): () => tf.Tensor {
    const node = this.node(tensor);
    return () => this.tracked(node);
  }

  hostCallback(tensor: tf.Tensor, read: (values: HostValues) => void): void {
    this.reports.push({ name: `report${this.reports.length}`, node: this.node(tensor), read });
  }

  /** All guards, those of one shape joined: an `and` of two costs less than another output, and that less than a reduction. */
  #allGuards(): readonly Node[] {
    const { builder } = this;
    const byShape = new Map<string, Node>();
    for (const ok of new Set(this.guards)) {
      const other = byShape.get(`${ok.shape}`);
      byShape.set(`${ok.shape}`, other === undefined ? ok : builder.binary("and", other, ok));
    }
    return [...byShape.values()].map((ok) => (sizeOf(ok.shape) > SMALL_GUARD ? builder.reduce("all", ok) : ok));
  }

  /** Closes the record. */
  finish(outputs: { readonly [name: string]: Node }): Traced {
    const named = Object.entries(outputs).map(([name, node]) => ({ name, node }));
    const guards = this.#allGuards().map((node, i) => ({ name: `guard${i}`, node }));
    const { hosts: host, fixed, reports, origins } = this;
    const graph = this.builder.finish([...named, ...reports.map(({ name, node }) => ({ name, node })), ...guards]);
    return { graph, host, fixed, reports, origins, guards: guards.map(({ name }) => name) };
  }
}

/** The trace under way. */
const current = (): Trace => currentTracer() as Trace;

/**
 * Records what `body` does with tensors of the given shapes.
 *
 * @remarks The engine that was active is active again afterwards, also when `body` throws, and no tensor of the trace is left.
 * @throws `trace` when `body` reads a value that depends on its inputs; `unsupported` when it uses an op that cannot be compiled.
 */
export function trace(
  inputs: { readonly [name: string]: TraceInput },
  body: (inputs: { readonly [name: string]: tf.Tensor }, tracer: Tracer) => { readonly [name: string]: tf.Tensor },
  options: TraceOptions = {},
): Traced {
  if (currentTracer() !== undefined)
    fail("trace", "a step that is being compiled cannot compile another: call it as a function");
  installTraceKernels(TRACE_BACKEND, current);
  const run = new Trace(options);
  const noRandom = () => run.refusals.draw("something without a seed (Math.random, tf.randomNormal, tf.dropout)");
  return withTracer(run, () =>
    randomBy(noRandom, () =>
      on(TRACE_BACKEND, run.backend, () => {
        let outputs: Record<string, Node> = {};
        scope(() => {
          const tensors = Object.fromEntries(
            Object.entries(inputs).map(([name, { shape, dtype }]) => [
              name,
              run.tracked(run.builder.input(name, shape, dtype)),
            ]),
          );
          const made = body(tensors, run);
          run.refusals.check();
          outputs = Object.fromEntries(Object.entries(made).map(([name, x]) => [name, run.node(x)]));
        });
        return run.finish(outputs);
      }),
    ),
  );
}
