/**
 * One compiled step in several threads at once: every shard is the same program with inputs of its own. Shard 0 runs in the calling
 * thread and the others each in one of the pool; the call returns when all are done.
 *
 * Threads within an operation meet after every operation; shards meet once a call, and each has its own processor's cache. A shard whose
 * thread was lost runs in the calling thread, with the same bits.
 */
import { fail } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import type { NumericArray } from "./ir/node.ts";
import { answersNatively } from "./runtime/runtime.ts";
import { ARRAYS, type TypedPort } from "./runtime/session.ts";
import { shardThreads, type ThreadProgram } from "./runtime/shard-thread.ts";
import { compileStep, type StepSpec, type Values } from "./step.ts";

/** A step in shards. */
export interface Shards {
  readonly count: number;
  /** Operations of the graph of one shard. */
  readonly size: number;
  readonly runtime: string;
  /**
   * Runs all shards; a repeated step `steps` times, by default as often as it can. `fill` writes the inputs of shard `j`, which keep what
   * was written before. Undefined when a guard fails in any of them. Outputs hold until the next run.
   */
  run(fill: (j: number, inputs: Values) => void, steps?: number): readonly Values[] | undefined;
  dispose(): void;
}

export interface ShardOptions {
  /** Milliseconds after its own shard for which the caller waits at least; a thread that takes longer is lost. */
  readonly patience?: number;
}

const PATIENCE = 10_000;
/** The caller also waits so many times what its own shard took. */
const SLOWEST = 50;

/**
 * Compiles a step for `count` shards.
 *
 * @throws As `compileStep`; `engine` where there are no threads or no native runtime.
 */
export async function compileShards(
  spec: StepSpec,
  count: number,
  { patience = PATIENCE }: ShardOptions = {},
): Promise<Shards> {
  // They start while the step is recorded here.
  const threads = shardThreads(count - 1);
  const step = await compileStep({ ...spec, threads: 1 });
  const remote: ThreadProgram[] = [];
  const dispose = () => {
    step.dispose();
    for (const program of remote.splice(0)) program.release();
  };
  try {
    if (!answersNatively(step)) fail("engine", "shards need the native runtime");
    const portable = step.portable();
    const loading = await Promise.allSettled(threads.map((thread) => thread.load(portable, portable.fixed)));
    for (const loaded of loading) if (loaded.status === "fulfilled") remote.push(loaded.value);
    for (const loaded of loading) if (loaded.status === "rejected") throw loaded.reason;

    const own: Values = Object.fromEntries(
      portable.inputs
        .filter(({ name }) => portable.fixed[name] === undefined)
        .map(({ name, type, shape }): [string, NumericArray] => [name, new ARRAYS[type](sizeOf(shape))]),
    );
    const { scan } = spec;
    const ports = new Map([...portable.inputs, ...portable.outputs].map((port) => [port.name, port]));
    /** The part of arrays that a run of so many iterations reads or writes. */
    const rowsOf = (values: Values, steps: number): Values =>
      Object.fromEntries(
        Object.entries(values).map(([name, array]) => {
          const { perStep, shape } = ports.get(name) as TypedPort;
          return [name, perStep ? array.subarray(0, steps * sizeOf(shape.slice(1))) : array];
        }),
      );
    // The runtime takes no shared memory.
    const instead = ({ inputs }: ThreadProgram, steps: number) =>
      here(Object.fromEntries(Object.entries(rowsOf(inputs, steps)).map(([name, array]) => [name, array.slice()])));
    const here = (inputs: Values, into?: Values) => step.run(inputs, into) as Values | undefined;
    /** Where runs of the caller's own shard leave their outputs, by the number of their iterations. */
    const places = new Map<number, Values>();
    return {
      count,
      size: step.size,
      runtime: step.runtime,
      run(fill, steps = scan?.length ?? 1) {
        remote.forEach((program, i) => {
          fill(i + 1, rowsOf(program.inputs, steps));
          program.start(steps);
        });
        const inputs = rowsOf(own, steps);
        fill(0, inputs);
        const began = performance.now();
        let first: Values | undefined;
        let took = 0;
        const others: (Values | undefined)[] = [];
        try {
          first = here(inputs, places.get(steps));
          if (first !== undefined) places.set(steps, first);
          took = performance.now() - began;
        } finally {
          // Also when that threw: no thread may still read its inputs when the next run writes them.
          for (const program of remote) {
            const done = program.finish(Math.max(patience, SLOWEST * took));
            const outputs = rowsOf(program.outputs, steps);
            others.push(done ? (portable.held(outputs) ? outputs : undefined) : instead(program, steps));
          }
        }
        const all = [first, ...others];
        return all.every((out) => out !== undefined) ? (all as Values[]) : undefined;
      },
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}
