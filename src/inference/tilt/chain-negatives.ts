/** Negatives from chains of the tilted model: persistent chains in a buffer, a share of which restarts at every step, or new chains in every step. */
import * as tf from "@tensorflow/tfjs-core";
import { type NdArray, ndarray } from "../../core/array.ts";
import { checkPositive, checkShare, checkWhole } from "../../core/check.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { toTensors } from "../../core/tree.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import { independence } from "../mcmc/independence.ts";
import { type Kernel, reevaluation } from "../mcmc/kernel.ts";
import { mala } from "../mcmc/mala.ts";
import { type Drift, driftWarnings, estimatedTarget, integrateOthers } from "../mcmc/pseudo-marginal.ts";
import type { AnyTransition } from "../mcmc/run.ts";
import { dimensionOf, type SampledModel } from "../mcmc/sites.ts";
import { adapting, startAdapting } from "../mcmc/step-size.ts";
import { type ArrayState, type Block, mapStored, type Stored, store } from "../mcmc/stepper.ts";
import { makeSteps, type Steppers, steppersFor } from "../mcmc/steppers.ts";
import { type Density, densityOf } from "../mcmc/target.ts";
import { ula } from "../mcmc/ula.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import { type ChainBuffer, chainBuffer } from "./chain-buffer.ts";
import type {
  Coordinates,
  NegativeDraws,
  NegativeInfo,
  NegativeSetting,
  NegativeSource,
  Negatives,
} from "./negatives.ts";

/** Options of {@link chainDraws}. */
export interface ChainDrawsOptions {
  /** Chains in one step: the number of negatives. Default 64. */
  readonly chains?: number;
  /** Langevin steps between two steps of training. Default 10. */
  readonly steps?: number;
  /** η; with `adjusted` it is adapted from this value. Default 0.01. */
  readonly stepSize?: number;
  /** T. Default 1. */
  readonly temperature?: number;
  /** Metropolis. Default true. */
  readonly adjusted?: boolean;
  /** Acceptance that the step size is adapted to while training goes on; only with `adjusted`. Default .574. */
  readonly targetAcceptance?: number;
  /**
   * Persistent chains in the buffer, in multiples of `chains`: every step takes a random batch of them, runs it and puts it back. Default 64.
   * 0: chains start at fresh base draws in every step, which is right only if they are long.
   */
  readonly buffer?: number;
  /** Share of a batch that restarts from the base. Default .05. */
  readonly fresh?: number;
  /**
   * Every so many Langevin steps, each chain proposes a jump to a draw of the base, by Metropolis-Hastings with min(1, e^{E(x) − E(x′)}): exact, and
   * often accepted while the tilt is weak. Default: never. Not together with `drift`.
   */
  readonly jumpEvery?: number;
  /**
   * Coordinates that chains sample in. Default: all latent sites of the base as they are, except that a tilted site that is discrete or an image
   * (64 entries or more) is replaced by its noise, `inNoise("x")`. `(base) => base` keeps even an image as it is.
   */
  readonly coordinates?: Coordinates;
  /**
   * Follows this estimate of ∇ log p(x), for instance `fisherDrift(net)`: chains over x alone, the latent integrated out. p̂(x) is estimated anew in every step
   * of training, so that Metropolis is exact up to its noise. Not together with `coordinates`, nor with a base that trains too.
   */
  readonly drift?: Drift;
}

const BUFFER_BATCHES = 64;
const FRESH = 0.05;

/** Chains of the tilted model, persistent by default (Tieleman 2008; Du & Mordatch 2019). */
export function chainDraws(options: ChainDrawsOptions = {}): Negatives {
  const { chains = 64, steps = 10, stepSize = 0.01, temperature = 1, adjusted = true } = options;
  const { targetAcceptance = 0.574, buffer = BUFFER_BATCHES, fresh = FRESH, coordinates, drift, jumpEvery } = options;
  const what = "chainDraws";
  checkWhole(what, "chains", chains);
  checkWhole(what, "steps", steps);
  checkPositive(what, "stepSize", stepSize);
  checkPositive(what, "temperature", temperature);
  checkWhole(what, "buffer", buffer, 0);
  checkShare(what, "fresh", fresh);
  if (jumpEvery !== undefined) checkWhole(what, "jumpEvery", jumpEvery);
  if (drift !== undefined && jumpEvery !== undefined)
    fail("argument", "chainDraws: with a drift chains do not jump; leave out jumpEvery");
  if (drift !== undefined && coordinates !== undefined)
    fail("argument", `chainDraws: a drift is over "${drift.site}" as it is; leave out coordinates`);
  const schedule = { chains, steps, stepSize, targetAcceptance };
  const suffix = drift === undefined ? "" : `, drift ${drift.name}`;
  return {
    name: buffer === 0 ? `chains(${chains}${suffix})` : `buffer(${buffer} × ${chains}, ${fresh} fresh${suffix})`,
    kind: "unweighted",
    ...(coordinates && { coordinates }),
    ...(drift && { marginalSite: drift.site }),
    start: (setting) => startChains(setting, { ...schedule, temperature, adjusted, buffer, fresh, drift, jumpEvery }),
  };
}

interface ChainSettings extends Required<Omit<ChainDrawsOptions, "coordinates" | "drift" | "jumpEvery">> {
  readonly drift: Drift | undefined;
  readonly jumpEvery: number | undefined;
}

/** The tilted model that chains sample. */
interface Chains {
  readonly sampled: SampledModel;
  readonly density: Density;
  readonly estimated: ReturnType<typeof estimatedTarget> | undefined;
  /** The values of the base's sites at positions of chains. */
  valuesAt(x: Float32Array): NegativeDraws;
}

function chainsOf({ problem, tilted }: NegativeSetting, settings: ChainSettings): Chains {
  const { chains, drift, temperature, adjusted } = settings;
  const inside = { ...problem, model: tilted };
  const sampled =
    drift === undefined
      ? { model: tilted, structure: inspectModel(inside) }
      : integrateOthers(inside, drift, undefined);
  const density = densityOf("chainDraws", inside, sampled);
  const wanted = inspectModel(problem).latents.map(({ name }) => name);
  const valuesAt = (x: Float32Array): NegativeDraws =>
    scope(() => {
      const n = x.length / dimensionOf(density.sites);
      const values = density.constrain(x);
      const moved = Object.fromEntries(
        density.sites.map(({ name, shape }, s) => [name, ndarray((values[s] as Float32Array).slice(), [n, ...shape])]),
      );
      // With a drift the other sites are integrated out.
      if (drift !== undefined) return moved;
      const run = interpret(unscored(replay({ latents: moved })(tilted))(), {
        particles: n,
        depth: sampled.structure.depth,
        params: toTensors(problem.params),
      });
      return Object.fromEntries(wanted.map((name) => [name, exportSite(run, run.sites.get(name) as never)]));
    });
  const estimated = drift && estimatedTarget(inside, drift, sampled, density.sites, { chains, temperature, adjusted });
  return { sampled, density, estimated, valuesAt };
}

/** The steppers of one update: evaluation of the changed energy, Langevin steps, jumps between them. */
interface UpdateSteppers {
  readonly reevaluate: Steppers;
  readonly move: Steppers;
  readonly jump: Steppers | undefined;
}

/** Compiles the steppers at the chains' first state. The energy changes between updates and is constant during one. */
async function updateSteppers(
  { problem, steps: updates }: NegativeSetting,
  settings: ChainSettings,
  { density, estimated }: Chains,
  start: Stored,
): Promise<UpdateSteppers> {
  const { chains, steps, adjusted, temperature, targetAcceptance, jumpEvery } = settings;
  const within = estimated === undefined ? problem : { ...problem, choice: "wasm" as const };
  const total = updates * steps;
  const make = (kernel: AnyTransition, { state, shapes }: Stored, maxStepsPerCall: number) => {
    const spec = {
      transition: kernel,
      sites: density.sites,
      chains,
      shapes,
      targetAt: (key: Key | undefined) => targetAt({ density, estimated }, key),
      drawPrior: (key: Key) => density.draw(key, chains),
    };
    const use = {
      steps: updates * maxStepsPerCall,
      total,
      collect: false,
      maxStepsPerCall,
      hostValues: "constant" as const,
    };
    return steppersFor(within, spec, { state, key: fold(problem.key, kernel.name) }, use);
  };
  const kernel = kernelOf(settings);
  const [transition, first] = adjusted
    ? [adapting(kernel, targetAcceptance), mapStored(start, startAdapting)]
    : [kernel, start];
  return {
    reevaluate: await make(reevaluation, start, 1),
    move: await make(transition, first, steps),
    jump: jumpEvery === undefined ? undefined : await make(independence(density.logPrior, temperature), start, 1),
  };
}

const kernelOf = ({ adjusted, temperature }: ChainSettings): Kernel =>
  adjusted ? mala(temperature) : ula(temperature);

const targetAt = ({ density, estimated }: Pick<Chains, "density" | "estimated">, key: Key | undefined) =>
  estimated === undefined || key === undefined ? density.target : estimated.at(key);

async function startChains(setting: NegativeSetting, settings: ChainSettings): Promise<NegativeSource> {
  const { problem } = setting;
  const { chains, steps, stepSize, adjusted, buffer, fresh, jumpEvery } = settings;
  const made = chainsOf(setting, settings);
  const { density, estimated, valuesAt } = made;
  const d = dimensionOf(density.sites);
  const drawStart = (key: Key) => density.draw(key, chains);
  const start = scope(() => {
    const x = tf.tensor2d(drawStart(fold(problem.key, "start")), [chains, d]);
    const at = kernelOf(settings).init(x, targetAt(made, fold(problem.key, "first")));
    return store({ ...at, eta: tf.scalar(stepSize) });
  });
  const { reevaluate, move, jump } = await updateSteppers(setting, settings, made, start);
  const persistent = chainBuffer({ batches: buffer, chains, d, share: fresh }, (b) =>
    drawStart(fold(fold(problem.key, "fill"), b)),
  );
  /** The state that continues from update to update besides the positions: the step size and its adaptation. */
  let carried: ArrayState = adjusted ? mapStored(start, startAdapting).state : start.state;
  const statistics = chainStatistics();

  /** The state at positions, under the current energy. */
  const evaluateAt = async (x: Float32Array, key: Key): Promise<ArrayState> => {
    const range = { from: 0, to: 1, keyAt: () => fold(key, "at") };
    const state = await makeSteps(reevaluate, { ...carried, x }, range, (block) => block.state);
    const bad = state.logp?.findIndex((l) => !Number.isFinite(l)) ?? -1;
    if (bad >= 0) fail("non-finite", `chainDraws: chain ${bad} starts where the log-density is ${state.logp?.[bad]}`);
    return { ...carried, ...state };
  };
  const keyOf = (key: Key) => (t: number) => fold(fold(key, "move"), t);
  const jumpAfter = (state: ArrayState, t: number, key: Key): ArrayState | Promise<ArrayState> => {
    if (jump === undefined || jumpEvery === undefined || t % jumpEvery !== 0) return state;
    const range = { from: t - 1, to: t, keyAt: (at: number) => fold(keyOf(key)(at), "jump") };
    return makeSteps(jump, state, range, (block) => {
      statistics.jump(block);
      return { ...state, ...block.state };
    });
  };
  return {
    count: chains,
    async next(step) {
      const key = fold(fold(problem.key, "chains"), step);
      const batch = persistent.take(drawStart(fold(key, "born")), key);
      statistics.take(batch.fresh, chains);
      const range = { from: 0, to: steps, keyAt: keyOf(key), ...(jumpEvery !== undefined && { every: jumpEvery }) };
      const state = await makeSteps(move, await evaluateAt(batch.x, key), range, (block, at) => {
        statistics.move(block);
        return jumpAfter(block.state, at + block.count, key);
      });
      carried = state;
      batch.putBack(state.x as Float32Array);
      return valuesAt(state.x as Float32Array);
    },
    info() {
      const warnings = warningsOf(settings, made);
      return {
        ...statistics.report(jumpEvery !== undefined),
        stepSize: carried.eta?.[0] as number,
        ...(estimated && { drift: estimated.report() }),
        ...(warnings.length > 0 && { warnings }),
      };
    },
    buffered: (n) => (buffer === 0 ? undefined : bufferedDraws(persistent, Math.ceil(n / chains), valuesAt)),
    dispose() {
      for (const { compiled } of [reevaluate, move, ...(jump ? [jump] : [])]) compiled?.dispose();
    },
  };
}

/** Values of the first batches of a buffer. */
function bufferedDraws(buffer: ChainBuffer, wanted: number, valuesAt: Chains["valuesAt"]): NegativeDraws {
  const batches = Math.max(1, Math.min(buffer.batches, wanted));
  const parts = Array.from({ length: batches }, (_, b) => valuesAt(buffer.batch(b)));
  return Object.fromEntries(
    Object.entries(parts[0] as NegativeDraws).map(([name, { shape, data }]) => {
      const all = new Float32Array(batches * data.length);
      parts.forEach((part, b) => {
        all.set((part[name] as NdArray).data, b * data.length);
      });
      return [name, ndarray(all, [batches * (shape[0] as number), ...shape.slice(1)])];
    }),
  );
}

function warningsOf({ adjusted, temperature }: ChainSettings, { estimated }: Chains): readonly string[] {
  return [
    ...(adjusted ? [] : ["the negatives' chains are unadjusted: they are off by a bias of the order of the step size"]),
    ...(temperature === 1
      ? []
      : [`the negatives' chains run at temperature ${temperature}, where they are not draws of the tilted model`]),
    ...(estimated === undefined ? [] : driftWarnings(estimated.report(), adjusted)),
  ];
}

/** Statistics of chains since the last report. */
function chainStatistics() {
  const none = { accepted: 0, moves: 0, nonFinite: 0, fresh: 0, taken: 0, jumped: 0, jumps: 0 };
  let sums = { ...none };
  return {
    take(fresh: number, taken: number) {
      sums.fresh += fresh;
      sums.taken += taken;
    },
    move(block: Block) {
      for (let i = 0; i < block.count; i++) {
        sums.accepted += block.acceptance(i);
        sums.nonFinite += block.nonFinite(i);
      }
      sums.moves += block.count;
    },
    jump(block: Block) {
      sums.jumped += block.acceptance(0);
      sums.jumps++;
    },
    report(jumps: boolean): NegativeInfo {
      const { accepted, moves, jumped, fresh, taken, nonFinite } = sums;
      const out = {
        acceptance: accepted / Math.max(1, moves),
        ...(jumps && { jumpAcceptance: jumped / Math.max(1, sums.jumps) }),
        fresh: fresh / Math.max(1, taken),
        nonFinite,
      };
      sums = { ...none };
      return out;
    },
  };
}
