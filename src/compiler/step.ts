/** A compiled step: the trace of one evaluation, whose host inputs are made anew for every run. */

import type * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import type { HostValues } from "../core/tracing.ts";
import { elements, multiplications, threadsFor } from "./cost-model.ts";
import type { Graph, NumericArray } from "./ir/node.ts";
import { show } from "./ir/show.ts";
import type { ScanOptions } from "./lower/scan.ts";
import type { Precision } from "./onnx/emit.ts";
import { columnsAsVectors } from "./passes/columns.ts";
import { simplify } from "./passes/rules.ts";
import { createProgram, type PortableProgram, type Program } from "./runtime/session.ts";
import { difference } from "./trace/compare.ts";
import { trace } from "./trace/trace.ts";
import type { HostInput, Traced, TraceInput } from "./trace/traced.ts";

/** What to compile. */
export interface StepSpec {
  /** For messages. */
  readonly what: string;
  readonly inputs: { readonly [name: string]: TraceInput };
  /** The step in ops. What it makes on the host must go through hostTensor or a traced key. */
  readonly body: (inputs: { readonly [name: string]: tf.Tensor }) => { readonly [name: string]: tf.Tensor };
  /** Sets what the host inputs depend on to one of two unrelated states, for the two traces that are compared. */
  readonly vary?: (state: 0 | 1) => void;
  readonly dtype?: Precision;
  /** Threads inside one operation. Default: one, and more where the products of a run are large. */
  readonly threads?: number;
  /** Why compiling does not pay, given the multiplications of one run; undefined when it does. */
  readonly skipReason?: (multiplications: number) => string | undefined;
  /** Only the native runtime will do. */
  readonly native?: boolean;
  /** In a thread of its own, so that the event loop stays free while it runs. */
  readonly background?: boolean;
  /**
   * Repeats the step in one run. Inputs that change from step to step are slices. Values that the step makes on the host are made once a
   * run, so that such a step is repeated only where they are said to be `constant` during a run.
   */
  readonly scan?: ScanOptions & { readonly hostValues?: "constant" };
}

/** Values by name. */
export type Values = { readonly [name: string]: NumericArray };

/** A step for another thread: it makes and reads nothing on the host. */
export interface PortableStep extends PortableProgram {
  /** Inputs that are the same in every run. */
  readonly fixed: Values;
  /** Whether every guard holds in the run with these outputs. */
  guardsHold(out: Values): boolean;
}

/** A step that runs without tfjs. */
export interface CompiledStep {
  /**
   * Runs it: at once on the native runtime. Undefined when a guard fails, and then the step must run op by op. Outputs
   * named in `into` are written there if the runtime can; otherwise they are in new arrays.
   */
  run(inputs: Values, into?: Values): Values | undefined | Promise<Values | undefined>;
  /** The graph as text. */
  show(): string;
  /** Nodes of the simplified graph. */
  readonly size: number;
  readonly runtime: string;
  /** Whether `run` answers at once. */
  readonly synchronous: boolean;
  readonly threads: number;
  /** Multiplications in products and convolutions of one step. */
  readonly multiplications: number;
  /** Elements of all values that one step computes. */
  readonly elements: number;
  /**
   * The step for another thread.
   *
   * @throws `unsupported` for a step that makes or reads values on the host.
   */
  portable(): PortableStep;
  dispose(): void;
}

/**
 * Traces and compiles a step.
 *
 * @throws `trace` when the step reads values, draws at random, or is another program at another step; `engine` when ONNX Runtime is
 *   not installed.
 */
export async function compileStep(spec: StepSpec): Promise<CompiledStep> {
  const { dtype = "float32" } = spec;
  const { traced, graph } = traceStep(spec);
  const threads = spec.threads ?? threadsFor(graph);
  const scan = scanOf(spec, traced, graph);
  const program = await createProgram(graph, { dtype, threads, ...(scan && { scan }), ...runtimeFor(spec) });
  return stepOf(traced, graph, program, threads);
}

function scanOf({ what, scan }: StepSpec, { host, reports }: Traced, graph: Graph): ScanOptions | undefined {
  if (scan === undefined) return undefined;
  if ((host.length > 0 && scan.hostValues !== "constant") || reports.length > 0)
    fail("unsupported", `${what}: a step that makes or reads values on the host cannot be repeated in one run`);
  const used = new Set(graph.inputs.map(({ attrs }) => attrs.name));
  return { ...scan, slices: scan.slices?.filter((name) => used.has(name)) ?? [] };
}

const runtimeFor = ({ background, native }: StepSpec) =>
  background ? { runtime: "worker" as const } : native ? { runtime: "node" as const } : {};

/** How much one step computes. */
export interface StepCounts {
  /** Multiplications in products and convolutions. */
  readonly multiplications: number;
  /** Elements of all values that it computes. */
  readonly elements: number;
}

/** Counts a step without compiling it. @throws `trace` as {@link compileStep}. */
export function countStep(spec: StepSpec): StepCounts {
  const { graph } = traceStep(spec);
  return { multiplications: multiplications(graph), elements: elements(graph) };
}

/** The trace, checked and simplified. */
function traceStep({ what, inputs, body, vary, dtype, skipReason, scan }: StepSpec): {
  readonly traced: Traced;
  readonly graph: Graph;
} {
  const options = { what, exact: dtype === "float64", copies: new WeakMap<object, NumericArray>() };
  vary?.(0);
  const traced = trace(inputs, body, options);
  const reason = skipReason?.(multiplications(traced.graph));
  if (reason !== undefined) fail("unsupported", `${what}: ${reason}`);
  if (vary !== undefined) {
    vary(1);
    const differs = difference(traced, trace(inputs, body, options));
    if (differs !== undefined) fail("trace", `${what} cannot be compiled: ${differs}`);
  }
  const simplified = simplify(traced.graph);
  // The caller of a repeated step reads and writes elements, whatever their shape.
  const graph = scan === undefined ? simplified : columnsAsVectors(simplified);
  return { traced, graph: withoutUnusedInputs(graph, Object.keys(scan?.carry ?? {})) };
}

/** Drops unused inputs, except carried ones: a step may write an entry that no step reads. */
function withoutUnusedInputs(graph: Graph, carried: readonly string[]): Graph {
  const used = new Set(graph.nodes);
  const needed = ({ attrs: { name } }: Graph["inputs"][number]) => name !== undefined && carried.includes(name);
  return { ...graph, inputs: graph.inputs.filter((input) => used.has(input) || needed(input)) };
}

function stepOf(
  { host, fixed, reports, guards }: Traced,
  graph: Graph,
  program: Program,
  threads: number,
): CompiledStep {
  const used = new Set(graph.inputs.map(({ attrs }) => attrs.name));
  const hostInputs = host.filter(({ name }) => used.has(name));
  const guardsHold = (out: Values) => guards.every((name) => out[name]?.includes(0) === false);
  const checked = (out: Values): Values | undefined => {
    if (!guardsHold(out)) return undefined;
    for (const { name, read } of reports) read(out[name] as HostValues);
    return out;
  };
  // Host values are written to the memory of the last run: fresh memory in every step would keep the garbage collector busy. An asynchronous
  // runtime may still be reading it.
  const places = new Map<string, HostValues>();
  const madeNow = ({ name, make, fill }: HostInput): HostValues => {
    const place = places.get(name);
    if (place !== undefined && fill !== undefined) {
      fill(place);
      return place;
    }
    const values = make();
    if (fill !== undefined && program.synchronous) places.set(name, values);
    return values;
  };
  return {
    run(inputs, into) {
      const feeds: Record<string, NumericArray> = { ...inputs, ...fixed };
      for (const input of hostInputs) feeds[input.name] = madeNow(input);
      return program.synchronous ? checked(program.run(feeds, into)) : program.runAsync(feeds).then(checked);
    },
    show: () => show(graph),
    size: graph.nodes.length,
    runtime: program.runtime,
    synchronous: program.synchronous,
    threads,
    multiplications: multiplications(graph),
    elements: elements(graph),
    portable() {
      if (hostInputs.length > 0 || reports.length > 0)
        fail("unsupported", "a step that makes or reads values on the host stays in its thread");
      return { ...program.portable(), fixed, guardsHold };
    },
    dispose: () => program.dispose(),
  };
}
