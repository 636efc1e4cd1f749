/**
 * The compiled program of a block of steps, for all chains at once or in parts. Chains are independent, so parts can run at the same time,
 * each a shard in a thread of its own, and in rounds where there are more parts than shards. Counts alone decide how, so that a run gives the
 * same bits every time.
 */

import * as tf from "@tensorflow/tfjs-core";
import type { NumericArray } from "../../compiler/ir/node.ts";
import type { StepSpec as CompilerSpec, Values } from "../../compiler/step.ts";
import { nextTurn } from "../../core/event-loop.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import { disagreement } from "../train/compile-policy.ts";
import { blockLength, blockSize, partSize, startsOf } from "./block-size.ts";
import { noiseInputs } from "./noise.ts";
import { type ArrayState, stateTensors, type TransitionSpec } from "./runner.ts";
import { scanSpec } from "./scan.ts";

/** Where and how a program runs. */
export interface ExecutionOptions {
  readonly threads: number | undefined;
  readonly background: boolean;
  /** Only the native runtime will do, not WebAssembly. */
  readonly native: boolean;
}

/** What the compiled steps are for. */
export interface ScanUse extends ExecutionOptions {
  /** Steps that will be run. */
  readonly steps: number;
  /** Whether positions after every step are wanted. */
  readonly collect: boolean;
  /** Default: as many as pay. */
  readonly maxStepsPerCall?: number;
  /** The target reads values from the host, which do not change during a call. */
  readonly hostValues?: "constant";
}

/** Runs steps of every chain. */
export interface ChainProgram {
  /** Parts that run at the same time, each in a thread. */
  readonly shards: number;
  /** Chains of every part. */
  readonly size: number;
  /** The first chain of each part; parts may overlap: chains in both have the same values. */
  readonly starts: readonly number[];
  /** Most steps of a run. */
  readonly length: number;
  readonly runtime: string;
  readonly threads: number;
  /** Operations of one step. */
  readonly operations: number;
  /**
   * Runs so many steps of all parts. `fill` writes the inputs of part `j`, which keep what was written before. Outputs are valid until the next
   * run; undefined when a check inside the model failed.
   */
  run(
    fill: (j: number, inputs: Values) => void,
    steps: number,
  ): readonly Values[] | undefined | Promise<readonly Values[] | undefined>;
  dispose(): void;
}

/** Multiplications that take as long as one element of an operation, some half a nanosecond. */
const MULTIPLICATIONS_PER_ELEMENT = 32;
/**
 * Elements computed in one step from which shards are used. Below, most of a step is starting operations and drawing noise, which shards do
 * not divide.
 */
const MIN_SHARD_WORK = 1 << 17;
/** Elements computed in all steps from which a thread and a second session, some 60 ms, pay off within two runs. */
const MIN_RUN_WORK = 1 << 27;

/** What one step of all chains computes, and what for. */
interface Work {
  readonly multiplications: number;
  readonly elements: number;
  readonly steps: number;
}

/** Whether to use shards: always where the caller asks for threads. */
function usesShards({ threads, background }: ExecutionOptions, { multiplications, elements, steps }: Work): boolean {
  if (background || threads === 1) return false;
  const work = elements + multiplications / MULTIPLICATIONS_PER_ELEMENT;
  return threads !== undefined || (work >= MIN_SHARD_WORK && work * steps >= MIN_RUN_WORK);
}

/**
 * The compiled program of steps.
 *
 * @param fixed - Entries of the state that a step does not change. Chains are split only where all other entries have a row for each chain.
 * @throws As `compileStep`. Failing threads are no error: the program then runs in one.
 */
export async function chainProgram(
  spec: TransitionSpec,
  state: ArrayState,
  fixed: ReadonlySet<string>,
  use: ScanUse,
): Promise<ChainProgram> {
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep, countStep } = await import("../../compiler/step.ts");
  const { chains } = spec;
  const { steps, collect, maxStepsPerCall, hostValues, ...where } = use;
  const specOf = (size: number, length: number): CompilerSpec => {
    const { carry, slices, ...step } = scanSpec(spec, size, fixed, collect);
    const { threads, ...how } = where;
    return {
      what: spec.transition.name,
      ...step,
      scan: { length, carry, slices, ...(hostValues && { hostValues }) },
      // Steps are alike: what differs between them is in their inputs.
      vary: () => undefined,
      native: how.native,
      background: how.background,
      ...(threads !== undefined && { threads }),
    };
  };
  const counts = countStep(specOf(chains, 1));
  const work = { ...counts, steps };
  const divisible = Object.entries(spec.shapes).every(([name, shape]) => fixed.has(name) || shape.length > 0);
  const noise = noiseInputs(spec.transition.noise, spec.sites).reduce((sum, { each }) => sum + each, 0);
  const elements = counts.elements / chains;
  const inBlocks = divisible ? blockSize(chains, noise, elements) : chains;
  const most = blockLength(noise * chains, counts.multiplications, inBlocks / chains) ?? 1;
  // Fewer steps than one call holds run one in a call, with progress after each.
  const length = steps < most ? 1 : Math.min(maxStepsPerCall ?? most, most);
  const wanted = length > 1 || !divisible ? inBlocks : partSize(chains, elements);
  const partsOf = (size: number) => (size === chains || areIndependent(spec, state, size) ? size : chains);

  if (divisible && hostValues === undefined && usesShards(where, work)) {
    try {
      const { availableThreads } = await import("../../compiler/threads.ts");
      const threads = Math.min(chains, where.threads ?? availableThreads());
      const size = partsOf(Math.min(wanted, Math.ceil(chains / threads)));
      const starts = startsOf(chains, size);
      if (starts.length > 1) {
        const { compileShards } = await import("../../compiler/shards.ts");
        const shards = Math.min(threads, starts.length);
        const compiled = await compileShards(specOf(size, length), shards);
        const plan = { size, starts, shards, length, runtime: compiled.runtime, threads: 1, operations: compiled.size };
        return inRounds({ ...plan, run: compiled.run, dispose: compiled.dispose });
      }
    } catch {
      // No threads here, or no native runtime.
    }
  }
  const size = partsOf(wanted);
  const compiled = specOf(size, length);
  const step = await compileStep(compiled);
  const plan = { size, starts: startsOf(chains, size), shards: 1, length };
  const { runtime, threads, size: operations } = step;
  return inRounds({ ...plan, runtime, threads, operations, ...unsharded(step, compiled) });
}

/** Runs one part in a call. */
function unsharded(
  step: { run(inputs: Values, into?: Values): Values | undefined | Promise<Values | undefined>; dispose(): void },
  { inputs, scan }: CompilerSpec,
): Pick<ChainProgram, "run" | "dispose"> {
  const length = scan?.length ?? 1;
  const perStep = new Set(scan?.slices);
  const all: Values = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]): [string, NumericArray] => [
      name,
      new Float32Array((perStep.has(name) ? length : 1) * sizeOf(shape)),
    ]),
  );
  const rowsOf = (steps: number): Values =>
    steps === length
      ? all
      : Object.fromEntries(
          Object.entries(all).map(([name, array]) => [
            name,
            perStep.has(name) ? array.subarray(0, steps * sizeOf(inputs[name]?.shape ?? [])) : array,
          ]),
        );
  // Runs of one length alternate between two output buffers: the state before a run stays intact, also when the run fails.
  const buffers = new Map<number, [last: Values | undefined, lastButOne: Values | undefined]>();
  return {
    run(fill, steps) {
      const given = rowsOf(steps);
      fill(0, given);
      const [last, lastButOne] = buffers.get(steps) ?? [];
      const take = (out: Values | undefined): readonly Values[] | undefined => {
        if (out === undefined) return undefined;
        buffers.set(steps, [out, last]);
        return [out];
      };
      const out = step.run(given, lastButOne);
      return out instanceof Promise ? out.then(take) : take(out);
    },
    dispose: () => step.dispose(),
  };
}

/** Runs the parts in as many rounds as they need. */
function inRounds(program: ChainProgram): ChainProgram {
  const { starts, shards, run } = program;
  const rounds = Math.ceil(starts.length / shards);
  if (rounds === 1) return program;
  return {
    ...program,
    async run(fill, steps) {
      const parts: Values[] = [];
      for (let round = 0; round < rounds; round++) {
        // Shards without a part in the last round repeat the last part.
        const out = await run((j, inputs) => fill(Math.min(round * shards + j, starts.length - 1), inputs), steps);
        if (out === undefined) return undefined;
        // The next round overwrites these outputs.
        for (const values of out.slice(0, starts.length - round * shards))
          parts.push(Object.fromEntries(Object.entries(values).map(([name, array]) => [name, array.slice()])));
        await nextTurn();
      }
      return parts;
    },
  };
}

/** Whether chains in parts of this size have the same density as among all chains: a model that breaks the rules may mix them. */
function areIndependent(spec: TransitionSpec, state: ArrayState, size: number): boolean {
  const { chains, shapes } = spec;
  const target = spec.targetAt(undefined);
  try {
    return scope(() => {
      const { x } = stateTensors({ ...state }, { x: shapes.x as readonly number[] } as typeof shapes);
      const all = target(x);
      return startsOf(chains, size).every((start) => {
        const part = target(tf.slice(x, start, size));
        const same = (name: "logp" | "grad", least: number) =>
          disagreement(name, tf.slice(all[name], start, size).dataSync(), part[name].dataSync(), least) === undefined;
        return same("logp", 1) && same("grad", 0);
      });
    });
  } catch {
    return false;
  }
}
