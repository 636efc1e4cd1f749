/** Steps of many chains in the compiled engine: a program of all of them or of their parts, as a way to make steps. */
import * as tf from "@tensorflow/tfjs-core";
import type { NumericArray } from "../../compiler/ir/node.ts";
import type { Values } from "../../compiler/step.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import type { CompileInfo } from "../../engine/info.ts";
import { disagreement } from "../train/compile-policy.ts";
import { blockNoise, noiseInputs, noiseTensors } from "./noise.ts";
import { DRAW, entry } from "./scan.ts";
import { type ChainProgram, chainProgram, type ScanUse } from "./shards.ts";
import {
  type ArrayState,
  type Block,
  countNonFinite,
  meanOf,
  type Stepper,
  type StepSpec,
  stateTensors,
  stepTensors,
  store,
} from "./stepper.ts";

/** Steps that are compiled. */
export interface CompiledStepper extends Stepper {
  readonly info: CompileInfo & { readonly used: true };
  /** Parts in which the chains lie. */
  readonly parts: number;
  /** How its first step differs from the one op by op, see `disagreement`. */
  compare(): Promise<string | undefined>;
  dispose(): void;
}

/** A first step op by op, all of whose proposals are taken: no decision is on the edge, so that it can be compared. */
function firstStep(spec: StepSpec, state: ArrayState, key: Key) {
  return scope(() => {
    const inputs = noiseInputs(spec.steps.noise, spec.sites);
    const given = stateTensors(state, spec.shapes);
    const noise = noiseTensors(inputs, spec, key);
    const sure = Object.fromEntries(
      inputs.map(({ input, kind }) => [
        input,
        kind === "uniform" ? tf.zerosLike(noise[input] as tf.Tensor) : noise[input],
      ]),
    ) as typeof noise;
    const [next] = stepTensors(spec, given, sure, key);
    const fixed = new Set(Object.keys(spec.shapes).filter((name) => next[name] === given[name]));
    return { wanted: store(next).state, fixed };
  });
}

/**
 * Records and compiles steps.
 *
 * @param state - Where the chains are; the first step from there is what is compared.
 * @throws `trace`, `engine`, as `compileStep` does; what the model throws where the chains are.
 */
export async function compileSteps(
  spec: StepSpec,
  state: ArrayState,
  key: Key,
  use: ScanUse,
): Promise<CompiledStepper> {
  const began = performance.now();
  const probe = fold(key, "compare");
  const { wanted, fixed } = firstStep(spec, state, probe);
  const program = await chainProgram(spec, state, fixed, use);
  const stepper = stepperOf(spec, fixed, program);
  const { runtime, threads, operations, length, lanes } = program;
  return {
    ...stepper,
    parts: program.starts.length,
    info: {
      used: true,
      runtime,
      threads: lanes > 1 ? lanes : threads,
      operations,
      ...(length > 1 && { stepsPerCall: length }),
      ...(lanes > 1 && { shards: lanes }),
      compileMs: performance.now() - began,
    },
    async compare() {
      const found = (await stepper.run(state, [probe], [], { takeAll: true }))?.state;
      if (found === undefined) return undefined;
      for (const [name, values] of Object.entries(wanted)) {
        const differs = disagreement(name, values, found[name] as Float32Array, name === "logp" ? 1 : 0);
        if (differs !== undefined) return differs;
      }
      return undefined;
    },
  };
}

/** A compiled program as a stepper. */
function stepperOf(spec: StepSpec, fixed: ReadonlySet<string>, program: ChainProgram) {
  const { chains, shapes } = spec;
  const { size, starts, length } = program;
  const noise = blockNoise(noiseInputs(spec.steps.noise, spec.sites), spec);
  // Parts keep every core busy: then nobody has time for noise.
  const whole = starts.length === 1;
  /** Numbers of one chain in an entry; 0 for what all chains share. */
  const each = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, shape.length === 0 ? 0 : sizeOf(shape.slice(1))]),
  );

  const read = (before: ArrayState, parts: readonly Values[], count: number): Block => {
    /** An array of all chains, `n` numbers of a chain, from the `i`-th row of every part. */
    const gathered = (name: string, n: number, i = 0): NumericArray => {
      const rows = parts.map((out) => (out[name] as NumericArray).subarray(i * size * n, (i + 1) * size * n));
      const [first] = rows as [NumericArray];
      if (rows.length === 1) return first;
      const all = new (first.constructor as new (length: number) => NumericArray)(chains * n);
      rows.forEach((row, j) => {
        all.set(row, (starts[j] as number) * n);
      });
      return all;
    };
    const shared = (name: string) => (parts[0] as Values)[entry(name)] as Float32Array;
    const takesAll = parts[0]?.acceptance === undefined;
    return {
      count,
      state: Object.fromEntries(
        Object.keys(shapes).map((name) => [
          name,
          fixed.has(name)
            ? (before[name] as Float32Array)
            : each[name] === 0
              ? shared(name)
              : (gathered(entry(name), each[name] as number) as Float32Array),
        ]),
      ),
      x: (i) => gathered(DRAW, each.x as number, i) as Float32Array,
      acceptance: (i) => (takesAll ? 1 : meanOf(gathered("acceptance", 1, i), gathered("finite", 1, i))),
      nonFinite: (i) => countNonFinite(gathered("finite", 1, i)),
    };
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
      { takeAll = false }: { readonly takeAll?: boolean } = {},
    ): Block | undefined | Promise<Block | undefined> {
      if (whole) noise.start(keys);
      const out = program.run((j, inputs) => {
        const start = starts[j] as number;
        // What the program does not use is not among its inputs.
        const write = (name: string, to: (array: Float32Array) => void) => {
          const array = inputs[name];
          if (array !== undefined) to(array as Float32Array);
        };
        for (const [name, n] of Object.entries(each)) {
          const values = state[name] as Float32Array;
          write(entry(name), (array) => array.set(n === 0 ? values : values.subarray(start * n, (start + size) * n)));
        }
        for (const { input, fill } of noise.of(keys)) write(input, (array) => fill(array, start, size));
        if (takeAll)
          for (const [name, kind] of Object.entries(spec.steps.noise))
            if (kind === "uniform") write(name, (array) => array.fill(0));
        if (whole && following.length > 0) noise.prefetch(following);
      }, keys.length);
      return out instanceof Promise
        ? out.then((parts) => parts && read(state, parts, keys.length))
        : out && read(state, out, keys.length);
    },
  };
}
