/**
 * The program of a block of Langevin steps, whole or in parts: chains do not know of each other, so that parts of them can run at the same
 * time, each in a thread of its own, and in rounds, where they are many. What pays is decided by counts, so that a run gives the same bits
 * every time.
 */

import type { NumericArray } from "../../compiler/ir/node.ts";
import type { Values } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import { nextTurn } from "../../core/event-loop.ts";
import { sizeOf } from "../../core/shape.ts";
import { startsOf } from "./block-size.ts";
import { type BlockProgram, blockSpec } from "./langevin-block.ts";
import { evaluateLangevin, type LangevinKernel, type LangevinState } from "./langevin-kernel.ts";

/** Where and how a program runs. */
export interface ExecutionOptions {
  readonly threads: number | undefined;
  readonly background: boolean;
  readonly native: boolean;
}

/** What speaks for parts. */
export interface ShardPlan {
  /** Multiplications and elements of one evaluation of all chains. */
  readonly multiplications: number;
  readonly elements: number;
  /** Steps to come. */
  readonly steps: number;
  /** All chains at the start. */
  readonly start: LangevinState;
  /** The kernel of another number of chains. */
  readonly kernelOf: ((chains: number) => LangevinKernel) | undefined;
}

type Disposing = BlockProgram & { dispose(): void };

/** Multiplications that take as long as one element of an operation, some half a nanosecond. */
const MULTIPLICATIONS_PER_ELEMENT = 32;
/**
 * Elements made in one step from which parts are used. Below, starting operations and drawing noise, which parts do not divide, is most
 * of a step: two parts of 64 chains are 1.15 times as fast in a 100-D Gaussian (8·10⁴), and slower where another process has one of the
 * two cores; in a logistic regression of 1000 rows (5·10⁵) they are 1.35 to 1.8 times as fast.
 */
const WORTH_PARTS = 1 << 17;
/** Elements made in all steps that repay the start of a thread and a second session, some 60 ms, at the latest in the second run. */
const WORTH_THREAD = 1 << 27;

/** Whether to part the chains: threads that were asked for are used. */
function worthParts(
  { threads, background }: ExecutionOptions,
  { multiplications, elements, steps, kernelOf }: ShardPlan,
): boolean {
  if (kernelOf === undefined || background || threads === 1) return false;
  const work = elements + multiplications / MULTIPLICATIONS_PER_ELEMENT;
  return threads !== undefined || (work >= WORTH_PARTS && work * steps >= WORTH_THREAD);
}

/** Chains of one call, and how many steps it takes. */
export interface BlockSize {
  readonly size: number;
  readonly length: number;
}

/**
 * The compiled program of a block.
 *
 * @throws As `compileStep`. What goes wrong with threads is no error: the program then runs in one.
 */
export async function blockProgram(
  kernel: LangevinKernel,
  { size, length }: BlockSize,
  where: ExecutionOptions,
  parting: ShardPlan,
): Promise<Disposing> {
  const chains = kernel.shapes[0]?.[0] as number;
  const { kernelOf, start } = parting;
  if (worthParts(where, parting)) {
    try {
      const { fewThreads } = await import("../../compiler/cost-model.ts");
      const threads = Math.min(chains, where.threads ?? fewThreads());
      const each = Math.min(size, Math.ceil(chains / threads));
      const starts = startsOf(chains, each);
      const part = starts.length === 1 ? undefined : partKernel(kernel, each, kernelOf, start);
      if (part !== undefined) {
        const { compileShards } = await import("../../compiler/shards.ts");
        const count = Math.min(threads, starts.length);
        return inRounds(each, starts, count, await compileShards(stepSpec(part, length, where), count));
      }
    } catch {
      // No threads here, or no native runtime.
    }
  }
  const part = partKernel(kernel, size, kernelOf, start);
  const each = part === undefined ? chains : size;
  return inRounds(each, startsOf(chains, each), 1, await oneLane(part ?? kernel, length, where));
}

/** The kernel of a part of the chains; undefined where chains by themselves are not what they are among all, as the model mixes them. */
export function partKernel(
  kernel: LangevinKernel,
  size: number,
  kernelOf: ShardPlan["kernelOf"],
  start: LangevinState,
): LangevinKernel | undefined {
  const chains = kernel.shapes[0]?.[0] as number;
  if (size === chains) return kernel;
  const part = kernelOf?.(size);
  if (part === undefined) return undefined;
  try {
    compareParts(part, startsOf(chains, size), start);
    return part;
  } catch {
    return undefined;
  }
}

/** A block as a step of the compiler. */
function stepSpec(kernel: LangevinKernel, length: number, { threads, ...where }: ExecutionOptions) {
  const { noise, carry, slices, ...spec } = blockSpec(kernel);
  return {
    what: "langevin",
    ...spec,
    scan: { length, carry, slices },
    vary: () => undefined,
    ...where,
    ...(threads !== undefined && { threads }),
  };
}

/** What runs one part in each of its lanes. */
type Lanes = Pick<BlockProgram, "run"> & { dispose(): void };

/** A program that runs one part a call. */
async function oneLane(kernel: LangevinKernel, length: number, where: ExecutionOptions): Promise<Lanes> {
  const { compileStep } = await import("../../compiler/step.ts");
  const spec = stepSpec(kernel, length, where);
  const step = await compileStep(spec);
  const inputs: Values = Object.fromEntries(
    Object.entries(spec.inputs).map(([name, { shape }]): [string, NumericArray] => {
      const rows = spec.scan.slices.includes(name) ? length : 1;
      return [name, new Float32Array(rows * sizeOf(shape))];
    }),
  );
  // Runs write in turn to the memory of the last but one: the chains are where the last left them, also when this one fails.
  let [last, lastButOne]: (Values | undefined)[] = [];
  const take = (out: Values | undefined): readonly Values[] | undefined => {
    if (out === undefined) return undefined;
    [last, lastButOne] = [out, last];
    return [out];
  };
  return {
    run(fill) {
      fill(0, inputs);
      const out = step.run(inputs, lastButOne);
      return out instanceof Promise ? out.then(take) : take(out);
    },
    dispose: () => step.dispose(),
  };
}

/** Parts in as many rounds as it takes. */
function inRounds(size: number, starts: readonly number[], lanes: number, { run, dispose }: Lanes): Disposing {
  const rounds = Math.ceil(starts.length / lanes);
  const inTurn: BlockProgram["run"] = async (fill) => {
    const parts: Values[] = [];
    for (let round = 0; round < rounds; round++) {
      // Lanes that are left over in the last round do its last part again.
      const out = await run((j, inputs) => fill(Math.min(round * lanes + j, starts.length - 1), inputs));
      if (out === undefined) return undefined;
      // The next round writes over what this one has made.
      for (const values of out.slice(0, starts.length - round * lanes))
        parts.push(Object.fromEntries(Object.entries(values).map(([name, array]) => [name, array.slice()])));
      await nextTurn();
    }
    return parts;
  };
  return { size, starts, lanes, run: rounds === 1 ? run : inTurn, dispose };
}

/** @throws `trace` when chains by themselves are not what they are among all: then the model mixes them. */
function compareParts(part: LangevinKernel, starts: readonly number[], all: LangevinState): void {
  const [size, inner] = [part.shapes[0]?.[0] as number, part.shapes.map((shape) => sizeOf(shape.slice(1)))];
  for (const start of starts) {
    const cut = (values: Float32Array, each: number) => values.subarray(start * each, (start + size) * each);
    const each = (arrays: readonly Float32Array[]) => arrays.map((values, s) => cut(values, inner[s] as number));
    const wanted = {
      positions: each(all.positions),
      gradients: each(all.gradients),
      logDensity: cut(all.logDensity, 1),
    };
    const found = evaluateLangevin(part, wanted.positions);
    compareStates("some chains have another density than among all", wanted, found);
  }
}

/** Relative difference beyond which a way to the density is not trusted: far above rounding. */
const DISAGREEMENT = 1e-2;

/** @throws `trace` when the two differ by more than rounding. Infinite densities must be so in both. */
export function compareStates(what: string, wanted: LangevinState, found: LangevinState): void {
  const pairs = [[wanted.logDensity, found.logDensity], ...wanted.gradients.map((g, i) => [g, found.gradients[i]])];
  for (const [a, b] of pairs as [Float32Array, Float32Array][]) {
    const scale = a.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1);
    const at = a.findIndex((x, i) => !(Object.is(x, b[i]) || Math.abs(x - (b[i] as number)) <= DISAGREEMENT * scale));
    if (at >= 0) fail("trace", `langevin: ${what} at the start: ${b[at]} for ${a[at]}`);
  }
}
