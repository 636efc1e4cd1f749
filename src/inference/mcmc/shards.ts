/**
 * The compiled program of a block of steps, for all chains at once or in parts: chains do not know of each other, so that parts of them can
 * run at the same time, each in a thread of its own, and in rounds, where they are many. What pays is decided by counts, so that a run gives
 * the same bits every time.
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
import { scanSpec } from "./scan.ts";
import { type ArrayState, type StepSpec, stateTensors } from "./stepper.ts";

/** Where and how a program runs. */
export interface ExecutionOptions {
  readonly threads: number | undefined;
  readonly background: boolean;
  /** WebAssembly will not do where the native runtime is missing. */
  readonly native: boolean;
}

/** What steps are compiled for. */
export interface ScanUse extends ExecutionOptions {
  /** Steps to come. */
  readonly steps: number;
  /** Whether positions after every step are wanted. */
  readonly collect: boolean;
  /** Steps of one call at most; without, as many as pay. */
  readonly most?: number;
  /** The target makes values on the host, which are the same during a call. */
  readonly hostValues?: "constant";
}

/** Runs steps of every chain. */
export interface ChainProgram {
  /** Parts that run at the same time. */
  readonly lanes: number;
  /** Chains of every part. */
  readonly size: number;
  /** The first chain of each part; parts may overlap, and then the chains of both are alike. */
  readonly starts: readonly number[];
  /** Most steps of a run. */
  readonly length: number;
  readonly runtime: string;
  readonly threads: number;
  /** Operations of one step. */
  readonly operations: number;
  /**
   * Runs so many steps of all parts. `fill` writes the inputs of part `j`, which keep what was written before. Outputs hold until the next
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
 * Elements made in one step from which parts are used. Below, starting operations and drawing noise, which parts do not divide, is most
 * of a step.
 */
const WORTH_PARTS = 1 << 17;
/** Elements made in all steps that repay the start of a thread and a second session, some 60 ms, at the latest in the second run. */
const WORTH_THREAD = 1 << 27;

/** What one step of all chains computes, and what for. */
interface Work {
  readonly multiplications: number;
  readonly elements: number;
  readonly steps: number;
}

/** Whether to use threads: those that were asked for are used. */
function worthShards({ threads, background }: ExecutionOptions, { multiplications, elements, steps }: Work): boolean {
  if (background || threads === 1) return false;
  const work = elements + multiplications / MULTIPLICATIONS_PER_ELEMENT;
  return threads !== undefined || (work >= WORTH_PARTS && work * steps >= WORTH_THREAD);
}

/**
 * The compiled program of steps.
 *
 * @param fixed - Entries of the state that a step leaves as they are. Chains lie in parts only where all others belong to one chain each.
 * @throws As `compileStep`. What goes wrong with threads is no error: the program then runs in one.
 */
export async function chainProgram(
  spec: StepSpec,
  state: ArrayState,
  fixed: ReadonlySet<string>,
  use: ScanUse,
): Promise<ChainProgram> {
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep, countStep } = await import("../../compiler/step.ts");
  const { chains } = spec;
  const { steps, collect, most: atMost, hostValues, ...where } = use;
  const specOf = (size: number, length: number): CompilerSpec => {
    const { carry, slices, ...step } = scanSpec(spec, size, fixed, collect);
    const { threads, ...how } = where;
    return {
      what: spec.steps.name,
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
  const noise = noiseInputs(spec.steps.noise, spec.sites).reduce((sum, { each }) => sum + each, 0);
  const elements = counts.elements / chains;
  const inBlocks = divisible ? blockSize(chains, noise, elements) : chains;
  const most = blockLength(noise * chains, counts.multiplications, inBlocks / chains) ?? 1;
  // Fewer steps than a call has are made one by one, and progress is told after each.
  const length = steps < most ? 1 : Math.min(atMost ?? most, most);
  const wanted = length > 1 || !divisible ? inBlocks : partSize(chains, elements);
  const partsOf = (size: number) => (size === chains || areAlike(spec, state, size) ? size : chains);

  if (divisible && hostValues === undefined && worthShards(where, work)) {
    try {
      const { fewThreads } = await import("../../compiler/threads.ts");
      const threads = Math.min(chains, where.threads ?? fewThreads());
      const size = partsOf(Math.min(wanted, Math.ceil(chains / threads)));
      const starts = startsOf(chains, size);
      if (starts.length > 1) {
        const { compileShards } = await import("../../compiler/shards.ts");
        const lanes = Math.min(threads, starts.length);
        const shards = await compileShards(specOf(size, length), lanes);
        const about = { size, starts, lanes, length, runtime: shards.runtime, threads: 1, operations: shards.size };
        return inRounds({ ...about, run: shards.run, dispose: shards.dispose });
      }
    } catch {
      // No threads here, or no native runtime.
    }
  }
  const size = partsOf(wanted);
  const compiled = specOf(size, length);
  const step = await compileStep(compiled);
  const about = { size, starts: startsOf(chains, size), lanes: 1, length };
  const { runtime, threads, size: operations } = step;
  return inRounds({ ...about, runtime, threads, operations, ...oneLane(step, compiled) });
}

/** Runs one part a call. */
function oneLane(
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
  // Runs of one length write in turn to the memory of the last but one: the chains are where the last left them, also when this one fails.
  const places = new Map<number, [last: Values | undefined, lastButOne: Values | undefined]>();
  return {
    run(fill, steps) {
      const given = rowsOf(steps);
      fill(0, given);
      const [last, lastButOne] = places.get(steps) ?? [];
      const take = (out: Values | undefined): readonly Values[] | undefined => {
        if (out === undefined) return undefined;
        places.set(steps, [out, last]);
        return [out];
      };
      const out = step.run(given, lastButOne);
      return out instanceof Promise ? out.then(take) : take(out);
    },
    dispose: () => step.dispose(),
  };
}

/** Parts in as many rounds as it takes. */
function inRounds(program: ChainProgram): ChainProgram {
  const { starts, lanes, run } = program;
  const rounds = Math.ceil(starts.length / lanes);
  if (rounds === 1) return program;
  return {
    ...program,
    async run(fill, steps) {
      const parts: Values[] = [];
      for (let round = 0; round < rounds; round++) {
        // Lanes that are left over in the last round do its last part again.
        const out = await run((j, inputs) => fill(Math.min(round * lanes + j, starts.length - 1), inputs), steps);
        if (out === undefined) return undefined;
        // The next round writes over what this one has made.
        for (const values of out.slice(0, starts.length - round * lanes))
          parts.push(Object.fromEntries(Object.entries(values).map(([name, array]) => [name, array.slice()])));
        await nextTurn();
      }
      return parts;
    },
  };
}

/** Whether so many chains by themselves have the density that they have among all: a model may mix them, against the rules. */
function areAlike(spec: StepSpec, state: ArrayState, size: number): boolean {
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
