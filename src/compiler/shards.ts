/**
 * One compiled step in several threads at once: shards run the same program on different inputs. Shard 0 runs in the calling
 * thread, each other shard in a thread of the pool; the call returns when all are done.
 *
 * Threads within an operation synchronise after every operation; shards synchronise once a call, and each keeps its processor's cache. A shard whose
 * thread was lost runs in the calling thread, with the same bits.
 */
import { fail } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import type { NumericArray } from "./ir/node.ts";
import { ARRAYS, type TypedPort, usedIn } from "./runtime/ports.ts";
import { answersNatively } from "./runtime/runtime.ts";
import { shardThreads, type ThreadProgram } from "./runtime/shard-thread.ts";
import { type CompiledStep, compileStep, type PortableStep, type StepSpec, type Values } from "./step.ts";

/** A step in shards. */
export interface Shards {
  readonly count: number;
  /** Operations of the graph of one shard. */
  readonly size: number;
  readonly runtime: string;
  /**
   * Runs all shards; a repeated step `steps` times, by default as often as it can. `fill` writes the inputs of shard `j`, which keep what
   * was written before. Undefined when a guard fails in any of them. Outputs are valid until the next run.
   */
  run(fill: (j: number, inputs: Values) => void, steps?: number): readonly Values[] | undefined;
  dispose(): void;
}

export interface ShardOptions {
  /** Least time in milliseconds that the caller waits after its own shard; a thread that takes longer counts as lost. */
  readonly timeout?: number;
}

const TIMEOUT = 10_000;
/** The caller waits at least this many times as long as its own shard took. */
const SLOWEST = 50;

/** Loads a program in threads; if one fails, the others release it. */
async function loadIn(threads: ReturnType<typeof shardThreads>, step: PortableStep): Promise<readonly ThreadProgram[]> {
  const loading = await Promise.allSettled(threads.map((thread) => thread.load(step, step.fixed)));
  const programs = loading.flatMap((loaded) => (loaded.status === "fulfilled" ? [loaded.value] : []));
  const failure = loading.find((loaded) => loaded.status === "rejected");
  if (failure === undefined) return programs;
  for (const program of programs) program.release();
  throw failure.reason;
}

/** Runs of the shards of a step that is loaded everywhere. */
function createRun(
  step: CompiledStep,
  { inputs, outputs, fixed, guardsHold }: PortableStep,
  remote: readonly ThreadProgram[],
  timeout: number,
) {
  const ports = new Map([...inputs, ...outputs].map((port) => [port.name, port]));
  /** The part of arrays that a run of so many iterations reads or writes. */
  const rowsOf = (values: Values, steps: number): Values =>
    Object.fromEntries(
      Object.entries(values).map(([name, array]) => [name, usedIn(ports.get(name) as TypedPort, array, steps)]),
    );
  const own: Values = Object.fromEntries(
    inputs
      .filter(({ name }) => fixed[name] === undefined)
      .map(({ name, type, shape }): [string, NumericArray] => [name, new ARRAYS[type](sizeOf(shape))]),
  );
  const runHere = (values: Values, into?: Values) => step.run(values, into) as Values | undefined;
  /** A shard whose thread was lost. The runtime takes no shared memory. */
  const runInstead = (program: ThreadProgram, steps: number) =>
    runHere(
      Object.fromEntries(Object.entries(rowsOf(program.inputs, steps)).map(([name, array]) => [name, array.slice()])),
    );
  /** Where runs of the caller's own shard leave their outputs, by the number of their iterations. */
  const places = new Map<number, Values>();

  return (fill: (j: number, inputs: Values) => void, steps: number): readonly Values[] | undefined => {
    remote.forEach((program, i) => {
      fill(i + 1, rowsOf(program.inputs, steps));
      program.start(steps);
    });
    const given = rowsOf(own, steps);
    fill(0, given);
    const began = performance.now();
    let first: Values | undefined;
    let took = 0;
    const others: (Values | undefined)[] = [];
    try {
      first = runHere(given, places.get(steps));
      if (first !== undefined) places.set(steps, first);
      took = performance.now() - began;
    } finally {
      // Also when that threw: no thread may still read its inputs when the next run writes them.
      for (const program of remote) {
        const done = program.finish(Math.max(timeout, SLOWEST * took));
        const results = rowsOf(program.outputs, steps);
        others.push(done ? (guardsHold(results) ? results : undefined) : runInstead(program, steps));
      }
    }
    const all = [first, ...others];
    return all.every((out) => out !== undefined) ? (all as Values[]) : undefined;
  };
}

/**
 * Compiles a step for `count` shards.
 *
 * @throws As `compileStep`; `engine` where there are no threads or no native runtime.
 */
export async function compileShards(
  spec: StepSpec,
  count: number,
  { timeout = TIMEOUT }: ShardOptions = {},
): Promise<Shards> {
  // Threads start while the step is traced here.
  const threads = shardThreads(count - 1);
  const step = await compileStep({ ...spec, threads: 1 });
  try {
    if (!answersNatively(step)) fail("engine", "shards need the native runtime");
    const portable = step.portable();
    const remote = [...(await loadIn(threads, portable))];
    const run = createRun(step, portable, remote, timeout);
    const { size, runtime } = step;
    return {
      count,
      size,
      runtime,
      run: (fill, steps = spec.scan?.length ?? 1) => run(fill, steps),
      dispose() {
        step.dispose();
        for (const program of remote.splice(0)) program.release();
      },
    };
  } catch (error) {
    step.dispose();
    throw error;
  }
}
