/**
 * The program of a block of Langevin steps, whole or in shards: chains do not know of each other, so that parts of them can run at the
 * same time, each in a thread of its own. Whether it pays is decided by counts, so that a run gives the same bits every time.
 */
import { fail } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import type { NumericArray } from "../engine/compile/node.ts";
import type { Values } from "../engine/compile/step.ts";
import { type BlockProgram, blockSpec } from "./langevin-block.ts";
import { evaluateLangevin, type LangevinKernel, type LangevinState } from "./langevin-kernel.ts";

/** Where and how a program runs. */
export interface Where {
  readonly threads: number | undefined;
  readonly background: boolean;
  readonly native: boolean;
}

/** What speaks for parts. */
export interface Parting {
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

/** Chains of each part, for so many threads. */
const sizeFor = (chains: number, threads: number) => Math.ceil(chains / Math.min(chains, threads));

/** Whether to part the chains: threads that were asked for are used. */
function worthParts({ threads, background }: Where, { multiplications, elements, steps, kernelOf }: Parting): boolean {
  if (kernelOf === undefined || background || threads === 1) return false;
  const work = elements + multiplications / MULTIPLICATIONS_PER_ELEMENT;
  return threads !== undefined || (work >= WORTH_PARTS && work * steps >= WORTH_THREAD);
}

/**
 * The compiled program of a block.
 *
 * @throws As `compileStep`. What goes wrong with parts is no error: the program is then whole.
 */
export async function blockProgram(
  kernel: LangevinKernel,
  length: number,
  where: Where,
  parting: Parting,
): Promise<Disposing> {
  if (worthParts(where, parting)) {
    try {
      const parts = await inParts(kernel, length, where, parting);
      if (parts !== undefined) return parts;
    } catch {
      // No threads here, no native runtime, or chains that know of each other.
    }
  }
  return whole(kernel, length, where);
}

/** A block as a step of the compiler. */
function stepSpec(kernel: LangevinKernel, length: number, { threads, ...where }: Where) {
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

/** All chains in one program. */
async function whole(kernel: LangevinKernel, length: number, where: Where): Promise<Disposing> {
  const { compileStep } = await import("../engine/compile/step.ts");
  const spec = stepSpec(kernel, length, where);
  const step = await compileStep(spec);
  const inputs: Values = Object.fromEntries(
    Object.entries(spec.inputs).map(([name, { shape }]): [string, NumericArray] => {
      const rows = spec.scan.slices.includes(name) ? length : 1;
      return [name, new Float32Array(rows * sizeOf(shape))];
    }),
  );
  return {
    size: kernel.shapes[0]?.[0] as number,
    starts: [0],
    run(fill) {
      fill(0, inputs);
      const out = step.run(inputs);
      return out instanceof Promise ? out.then((values) => values && [values]) : out && [out];
    },
    dispose: () => step.dispose(),
  };
}

/** Chains in parts of one size; the last begins earlier where they do not divide. Undefined for one part. */
async function inParts(
  kernel: LangevinKernel,
  length: number,
  where: Where,
  { start, kernelOf }: Parting,
): Promise<Disposing | undefined> {
  const chains = kernel.shapes[0]?.[0] as number;
  const { fewThreads } = await import("../engine/compile/work.ts");
  const size = sizeFor(chains, where.threads ?? fewThreads());
  const starts = Array.from({ length: Math.ceil(chains / size) }, (_, j) => Math.min(j * size, chains - size));
  if (starts.length === 1 || kernelOf === undefined) return undefined;
  const part = kernelOf(size);
  compareParts(part, starts, start);
  const { compileShards } = await import("../engine/compile/shards.ts");
  const { run, dispose } = await compileShards(stepSpec(part, length, where), starts.length);
  return { size, starts, run, dispose };
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
