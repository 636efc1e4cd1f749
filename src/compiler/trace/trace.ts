/**
 * Tracing: a tfjs backend whose kernels make nodes of a graph. Forward pass and gradients of any order are traced
 * as tfjs dispatches them, so that every repair of `src/engine` holds for compiled programs too.
 *
 * A kernel whose inputs are all known is run at once by the engine underneath: its result is known too, and may be read. What
 * depends on an input of the trace is symbolic: reading it is an error that says what to write instead.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { currentTracer, type HostValues, type Tracer, tracedArrays, withTracer } from "../../core/tracing.ts";
import type { DType, Node } from "../ir/node.ts";
import { type Builder, createBuilder } from "../primitives/builder.ts";
import type { TraceKernel } from "../primitives/primitive.ts";
import { createRefusals, type Refusals } from "./refusals.ts";
import { createTensorNodes, type TensorNodes } from "./tensor-nodes.ts";
import { createTraceBackend, type TraceBackend } from "./trace-backend.ts";
import { installTraceKernels, type KernelTracer } from "./trace-kernels.ts";
import type { HostInput, Traced, TraceInput, TraceOptions } from "./traced.ts";
import { engine, withBackend, withRandom } from "./with-backend.ts";

export const TRACE_BACKEND = "tilted-trace";

/** Elements of a guard that are looked at one by one after a run; more are joined in the run. */
const SMALL_GUARD = 4096;

/** A trace under way. */
interface Trace extends Tracer, KernelTracer {
  /** What tfjs sees. */
  readonly backend: TraceBackend;
  readonly refusals: Refusals;
  readonly builder: Builder;
  readonly nodes: TensorNodes;
  /** A new symbolic tensor. */
  tensor(node: Node): tf.Tensor;
  /** The graph of what was traced. */
  finish(outputs: { readonly [name: string]: Node }): Traced;
}

/** All guards, those of one shape joined: an `and` of two costs less than another output, and that less than a reduction. */
function joinGuards(builder: Builder, guards: readonly Node[]): readonly Node[] {
  const byShape = new Map<string, Node>();
  for (const ok of new Set(guards)) {
    const other = byShape.get(`${ok.shape}`);
    byShape.set(`${ok.shape}`, other === undefined ? ok : builder.binary("and", other, ok));
  }
  return [...byShape.values()].map((ok) => (sizeOf(ok.shape) > SMALL_GUARD ? builder.reduce("all", ok) : ok));
}

/** Inputs that the host makes anew before every run. */
function createHostInputs(builder: Builder) {
  const inputs: HostInput[] = [];
  const arrays = new Map<HostValues, string>();
  const add = (make: () => HostValues, fill?: (to: HostValues) => void): string => {
    const name = `host${inputs.length}`;
    inputs.push({ name, make, ...(fill && { fill }) });
    return name;
  };
  const dtypeOf = (values: HostValues): DType => (values instanceof Int32Array ? "int32" : "float32");
  return {
    inputs,
    /** An input that is `values` now. */
    add: (values: HostValues, shape: Shape, make: () => HostValues, fill?: (to: HostValues) => void): Node =>
      builder.input(add(make, fill), shape, dtypeOf(values)),
    /** A tensor of an array that is made anew: all tensors of one array share one input. */
    ofArray(values: HostValues, make: () => HostValues, shape: Shape, dtype: DType): Node {
      const name = arrays.get(values) ?? add(make);
      arrays.set(values, name);
      const flat = builder.input(name, [values.length], dtypeOf(values));
      return builder.cast(builder.reshape(flat, shape), dtype);
    },
  };
}

type Given = readonly [string, tf.TensorInfo];

/** How kernels are run: at once by the engine where all is known, else as nodes. */
function createRun(builder: Builder, nodes: TensorNodes, exact: boolean, onEngine: <T>(body: () => T) => T) {
  const apply = (kernel: TraceKernel<Builder>, given: readonly Given[], attrs: tf.NamedAttrMap) =>
    kernel(builder, Object.fromEntries(given.map(([key, x]) => [key, nodes.of(x)])), attrs as never);
  const info = (node: Node): tf.TensorInfo => ({
    dataId: nodes.symbolic(node),
    shape: [...node.shape],
    dtype: node.dtype,
  });
  const run: KernelTracer["run"] = (name, kernel, inputs, attrs) => {
    const given = Object.entries(inputs).filter(([, x]) => x !== undefined && x !== null) as Given[];
    if (given.some(([, x]) => nodes.isSymbolic(x.dataId))) {
      const made = apply(kernel, given, attrs);
      return isList(made) ? made.map(info) : info(made);
    }
    const known = onEngine(() => tf.engine().runKernel(name, inputs as unknown as tf.NamedTensorMap, attrs));
    if (exact && given.length > 0) {
      const tensors = [known].flat() as tf.TensorInfo[];
      for (const [i, node] of [apply(kernel, given, attrs)].flat().entries()) nodes.remember(tensors[i]!.dataId, node);
    }
    return known;
  };
  return { run, info };
}

const isList = (made: Node | readonly Node[]): made is readonly Node[] => Array.isArray(made);

/** A trace over the engine that is active. */
function createTrace({ exact = false, what = "this step", copies = new WeakMap() }: TraceOptions): Trace {
  const { backendName, backendInstance: under } = engine();
  const onEngine = <T>(body: () => T): T => withBackend(backendName, under, body);
  const random = Math.random;
  const builder = createBuilder();
  const place = () => ({ what, site: tracer.site });
  const refusals = createRefusals(place);
  const valuesOf = (id: object) => backend.valuesOf(id);
  const nodes = createTensorNodes({ builder, refusals, place, exact, copies, valuesOf });
  const hosts = createHostInputs(builder);
  const guards: Node[] = [];
  const reports: { readonly name: string; readonly node: Node; read(values: HostValues): void }[] = [];
  const { run, info } = createRun(builder, nodes, exact, onEngine);

  const backend = createTraceBackend({
    under,
    refusals,
    isSymbolic: nodes.isSymbolic,
    isOpen: () => currentTracer() === tracer,
    write(values, shape, dtype) {
      const make = tracedArrays.get(values);
      if (make !== undefined) return nodes.symbolic(hosts.ofArray(values, make, shape, dtype));
      const id = under.write(values, [...shape], dtype);
      nodes.written(id, values, shape, dtype);
      return id;
    },
  });

  const tracer: Trace = {
    site: undefined,
    backend,
    refusals,
    builder,
    nodes,
    run,
    tensor: (node) => engine().makeTensorFromTensorInfo(info(node), backend),
    isSymbolic: ({ dataId }) => nodes.isSymbolic(dataId),
    untraced: (body) => withRandom(random, () => withTracer(undefined, () => onEngine(body))),
    hostInput: (make, shape, fill) => tracer.tensor(hosts.add(tracer.untraced(make), shape, make, fill)),
    hostArray<A extends HostValues>(make: () => A): A {
      const values = tracer.untraced(make).slice() as A;
      tracedArrays.set(values, make);
      return values;
    },
    guard: (ok) => void guards.push(builder.cast(nodes.of(ok), "bool")),
    alias(tensor) {
      const node = nodes.of(tensor);
      return () => tracer.tensor(node);
    },
    hostCallback: (tensor, read) =>
      void reports.push({ name: `report${reports.length}`, node: nodes.of(tensor), read }),
    finish(outputs) {
      const named = Object.entries(outputs).map(([name, node]) => ({ name, node }));
      const joined = joinGuards(builder, guards).map((node, i) => ({ name: `guard${i}`, node }));
      const graph = builder.finish([...named, ...reports.map(({ name, node }) => ({ name, node })), ...joined]);
      const { fixed, origins } = nodes;
      return { graph, host: hosts.inputs, fixed, reports, origins, guards: joined.map(({ name }) => name) };
    },
  };
  return tracer;
}

/** The trace under way. */
const current = (): Trace => currentTracer() as Trace;

/**
 * Traces what `body` does with tensors of the given shapes.
 *
 * @remarks The engine that was active is active again afterwards, also when `body` throws, and no tensor of the trace is left.
 * @throws `trace` when `body` reads a value that depends on its inputs; `unsupported` when it uses an op that cannot be compiled.
 */
export function trace(
  inputs: { readonly [name: string]: TraceInput },
  body: (inputs: { readonly [name: string]: tf.Tensor }) => { readonly [name: string]: tf.Tensor },
  options: TraceOptions = {},
): Traced {
  if (currentTracer() !== undefined)
    fail("trace", "a step that is being compiled cannot compile another: call it as a function");
  installTraceKernels(TRACE_BACKEND, current);
  const run = createTrace(options);
  const noRandom = () => run.refusals.draw("something without a seed (Math.random, tf.randomNormal, tf.dropout)");
  const traced = (): Traced => {
    let outputs: { readonly [name: string]: Node } = {};
    scope(() => {
      const given = Object.entries(inputs).map(([name, { shape, dtype }]) => {
        const tensor = run.tensor(run.builder.input(name, shape, dtype));
        return [name, tensor] as const;
      });
      const made = body(Object.fromEntries(given));
      run.refusals.check();
      outputs = Object.fromEntries(Object.entries(made).map(([name, x]) => [name, run.nodes.of(x)]));
    });
    return run.finish(outputs);
  };
  return withTracer(run, () => withRandom(noRandom, () => withBackend(TRACE_BACKEND, run.backend, traced)));
}
