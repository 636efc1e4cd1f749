/** The compiled runner: a compiled program over all chains, or over parts of them, as a {@link Runner}. */
import * as tf from "@tensorflow/tfjs-core";
import type { NumericArray } from "../../compiler/ir/node.ts";
import type { Values } from "../../compiler/step.ts";
import type { Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import type { CompileInfo } from "../../engine/info.ts";
import { disagreement } from "../train/compile-policy.ts";
import { blockNoise, noiseInputs, noiseTensors } from "./noise.ts";
import {
  type ArrayState,
  applyTransition,
  type Block,
  countNonFinite,
  meanOf,
  type Runner,
  stateTensors,
  storeState,
  type TransitionSpec,
} from "./runner.ts";
import { DRAW, entry } from "./scan.ts";
import { type ChainProgram, chainProgram, type ScanUse } from "./shards.ts";

/** A compiled runner. */
export interface CompiledRunner extends Runner {
  readonly info: CompileInfo & { readonly used: true };
  /** How the first step differs from the one op by op that {@link firstStep} made, see `disagreement`. */
  compare(state: ArrayState, key: Key, next: ArrayState): Promise<string | undefined>;
  dispose(): void;
}

/** In place of uniforms, where all proposals whose ratio is no less are to be accepted: inside (0, 1), in single precision too. */
const SMALLEST_UNIFORM = 1e-30;

/** The first step, op by op. */
export interface FirstStep {
  readonly next: ArrayState;
  /** Entries of the state that a step does not change. */
  readonly fixed: ReadonlySet<string>;
}

/**
 * The first step op by op with every proposal accepted, so that no rounding can flip a decision when the engines are compared. An error of the
 * model in it is an error of the run: the proposals are those of the real first step.
 */
export function firstStep(spec: TransitionSpec, state: ArrayState, key: Key): FirstStep {
  return scope(() => {
    const inputs = noiseInputs(spec.transition.noise, spec.sites);
    const given = stateTensors(state, spec.shapes);
    const noise = noiseTensors(inputs, spec, key);
    const acceptAll = Object.fromEntries(
      inputs.map(({ input, kind }) => {
        const own = noise[input] as tf.Tensor;
        return [input, kind === "uniform" ? tf.fill(own.shape, SMALLEST_UNIFORM) : own];
      }),
    );
    const [next] = applyTransition(spec, given, acceptAll, key);
    const fixed = new Set(Object.keys(spec.shapes).filter((name) => next[name] === given[name]));
    return { next: storeState(next).state, fixed };
  });
}

/**
 * Traces and compiles steps.
 *
 * @param state - The state of the chains.
 * @param fixed - See {@link FirstStep}.
 * @throws `trace`, `engine`, as `compileStep` does.
 */
export async function compileRunner(
  spec: TransitionSpec,
  state: ArrayState,
  fixed: ReadonlySet<string>,
  use: ScanUse,
): Promise<CompiledRunner> {
  const began = performance.now();
  const program = await chainProgram(spec, state, fixed, use);
  const runner = runnerOf(spec, fixed, program);
  const { runtime, threads, operations, length, shards } = program;
  return {
    ...runner,
    info: {
      used: true,
      runtime,
      threads: shards > 1 ? shards : threads,
      operations,
      ...(length > 1 && { stepsPerCall: length }),
      ...(shards > 1 && { shards }),
      compileMs: performance.now() - began,
    },
    async compare(state, key, next) {
      const found = (await runner.run(state, [key], [], { acceptAll: true }))?.state;
      if (found === undefined) return undefined;
      for (const [name, values] of Object.entries(next)) {
        const differs = disagreement(name, values, found[name] as Float32Array, name === "logp" ? 1 : 0);
        if (differs !== undefined) return differs;
      }
      return undefined;
    },
  };
}

/** Numbers of one chain in every entry of a state; 0 for what all chains share. */
const sizesOf = ({ shapes }: TransitionSpec): { readonly [name: string]: number } =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, shape.length === 0 ? 0 : sizeOf(shape.slice(1))]),
  );

/** A compiled program as a runner. */
function runnerOf(spec: TransitionSpec, fixed: ReadonlySet<string>, program: ChainProgram) {
  const { size, starts, length } = program;
  const noise = blockNoise(noiseInputs(spec.transition.noise, spec.sites), spec);
  // Shards keep every core busy, which leaves none to draw noise ahead.
  const isWhole = starts.length === 1;
  const each = sizesOf(spec);
  /** `acceptAll`: with uniforms of 0 every proposal is accepted. */
  const write = (state: ArrayState, keys: readonly Key[], acceptAll: boolean) => (j: number, inputs: Values) => {
    const start = starts[j] as number;
    // Entries that the program does not use are not among its inputs.
    const fill = (name: string, to: (array: Float32Array) => void) => {
      const array = inputs[name];
      if (array !== undefined) to(array as Float32Array);
    };
    for (const [name, n] of Object.entries(each)) {
      const values = state[name] as Float32Array;
      fill(entry(name), (array) => array.set(n === 0 ? values : values.subarray(start * n, (start + size) * n)));
    }
    for (const { input, fill: draw } of noise.of(keys)) fill(input, (array) => draw(array, start, size));
    if (!acceptAll) return;
    for (const [name, kind] of Object.entries(spec.transition.noise))
      if (kind === "uniform") fill(name, (array) => array.fill(SMALLEST_UNIFORM));
  };
  return {
    length,
    dispose() {
      noise.cancel();
      program.dispose();
    },
    run(
      state: ArrayState,
      keys: readonly Key[],
      following: readonly Key[] = [],
      { acceptAll = false }: { readonly acceptAll?: boolean } = {},
    ): Block | undefined | Promise<Block | undefined> {
      if (isWhole) noise.start(keys);
      const fill = write(state, keys, acceptAll);
      const out = program.run((j, inputs) => {
        fill(j, inputs);
        if (isWhole && following.length > 0) noise.prefetch(following);
      }, keys.length);
      const read = (parts: readonly Values[]) => blockOf(spec, fixed, program, state, parts, keys.length);
      return out instanceof Promise ? out.then((parts) => parts && read(parts)) : out && read(out);
    },
  };
}

/** The block of a program's outputs. */
function blockOf(
  spec: TransitionSpec,
  fixed: ReadonlySet<string>,
  { size, starts }: ChainProgram,
  before: ArrayState,
  parts: readonly Values[],
  count: number,
): Block {
  const each = sizesOf(spec);
  /** An array of all chains, `n` numbers of a chain, from the `i`-th row of every part. */
  const gathered = (name: string, n: number, i = 0): NumericArray => {
    const rows = parts.map((out) => (out[name] as NumericArray).subarray(i * size * n, (i + 1) * size * n));
    const [first] = rows as [NumericArray];
    if (rows.length === 1) return first;
    const all = new (first.constructor as new (length: number) => NumericArray)(spec.chains * n);
    rows.forEach((row, j) => {
      all.set(row, (starts[j] as number) * n);
    });
    return all;
  };
  const after = (name: string): Float32Array => {
    if (fixed.has(name)) return before[name] as Float32Array;
    const n = each[name] as number;
    // Every part holds what all chains share.
    return (n === 0 ? parts[0]?.[entry(name)] : gathered(entry(name), n)) as Float32Array;
  };
  const finite = (i: number) => gathered("finite", 1, i);
  const acceptsAll = parts[0]?.acceptance === undefined;
  const means: number[] = [];
  const acceptance = (i: number) => (acceptsAll ? 1 : meanOf(gathered("acceptance", 1, i), finite(i)));
  return {
    count,
    unadjusted: acceptsAll,
    state: Object.fromEntries(Object.keys(spec.shapes).map((name) => [name, after(name)])),
    x: (i) => gathered(DRAW, each.x as number, i) as Float32Array,
    acceptance(i) {
      means[i] ??= acceptance(i);
      return means[i];
    },
    nonFinite: (i) => countNonFinite(finite(i)),
  };
}
