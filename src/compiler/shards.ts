/**
 * One compiled step in several threads at once: every shard is the same program with inputs of its own. Shard 0 runs in the calling
 * thread and the others each in one of the pool; the call returns when all are done.
 *
 * Threads within an operation meet after every operation; shards meet once a call, and each has its own processor's cache. A shard whose
 * thread was lost runs in the calling thread, with the same bits.
 */
import { fail } from "../core/errors.ts";
import { type NumericArray, sizeOf } from "./ir/node.ts";
import { answersNatively } from "./runtime/runtime.ts";
import { ARRAYS } from "./runtime/session.ts";
import { shardThreads, type ThreadProgram } from "./runtime/shard-thread.ts";
import { compileStep, type StepSpec, type Values } from "./step.ts";

/** A step in shards. */
export interface Shards {
  readonly count: number;
  /** Operations of the graph of one shard. */
  readonly size: number;
  readonly runtime: string;
  /**
   * Runs all shards. `fill` writes the inputs of shard `j`, which keep what was written before. Undefined when a guard fails in any of
   * them. Outputs hold until the next run.
   */
  run(fill: (j: number, inputs: Values) => void): readonly Values[] | undefined;
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
    // The runtime takes no shared memory.
    const instead = ({ inputs }: ThreadProgram) =>
      here(Object.fromEntries(Object.entries(inputs).map(([name, array]) => [name, array.slice()])));
    const here = (inputs: Values, into?: Values) => step.run(inputs, into) as Values | undefined;
    /** Where the last run of the caller's own shard left its outputs, and the next one writes. */
    let places: Values | undefined;
    return {
      count,
      size: step.size,
      runtime: step.runtime,
      run(fill) {
        remote.forEach((program, i) => {
          fill(i + 1, program.inputs);
          program.start();
        });
        fill(0, own);
        const began = performance.now();
        let first: Values | undefined;
        let took = 0;
        const others: (Values | undefined)[] = [];
        try {
          first = here(own, places);
          places = first ?? places;
          took = performance.now() - began;
        } finally {
          // Also when that threw: no thread may still read its inputs when the next run writes them.
          for (const program of remote) {
            const done = program.finish(Math.max(patience, SLOWEST * took));
            others.push(done && portable.held(program.outputs) ? program.outputs : done ? undefined : instead(program));
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
