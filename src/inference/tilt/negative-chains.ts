/**
 * The chains behind negatives: between two updates of the energy a batch of the buffer is evaluated anew, moved by Langevin steps and jumps,
 * and put back. The steps are those of `langevin`, run as the driver runs them.
 */
import { type NdArray, ndarray } from "../../core/array.ts";
import { joinArrays } from "../../core/join.ts";
import { fold, type Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { toTensors } from "../../core/tree.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import { independence } from "../mcmc/independence.ts";
import { reevaluation } from "../mcmc/kernel.ts";
import { langevinKernel } from "../mcmc/langevin.ts";
import { type Drift, driftWarnings, estimatedTarget, integrateOthers, targetsOf } from "../mcmc/pseudo-marginal.ts";
import type { AnyTransition } from "../mcmc/run.ts";
import { type ArrayState, type Block, mapStored, type Stored } from "../mcmc/runner.ts";
import { type Jumps, jumpIfDue, type Runners, runnersFor, runSteps } from "../mcmc/runners.ts";
import { dimensionOf, type SampledModel } from "../mcmc/sites.ts";
import { checkStart, startState } from "../mcmc/start-state.ts";
import { adapting, startAdapting } from "../mcmc/step-size.ts";
import { type Density, densityOf } from "../mcmc/target.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import { type ChainBuffer, chainBuffer } from "./chain-buffer.ts";
import type { NegativeDraws, NegativeInfo, NegativeSetting, NegativeSource } from "./negatives.ts";

/** Options of `chainDraws` with their defaults. */
export interface NegativeChainSettings {
  readonly chains: number;
  readonly steps: number;
  readonly stepSize: number;
  readonly temperature: number;
  readonly adjusted: boolean;
  readonly targetAcceptance: number;
  readonly buffer: number;
  readonly fresh: number;
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

function chainsOf({ problem, tilted }: NegativeSetting, settings: NegativeChainSettings): Chains {
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

/** The runners of one update: evaluation of the changed energy, Langevin steps, jumps between them. */
interface UpdateRunners {
  readonly reevaluate: Runners;
  readonly move: Runners;
  readonly jump: Runners | undefined;
}

/** Compiles the runners at the chains' first state. The energy changes between updates and is constant during one. */
async function updateRunners(
  { problem, steps: updates }: NegativeSetting,
  settings: NegativeChainSettings,
  { density, estimated }: Chains,
  start: Stored,
): Promise<UpdateRunners> {
  const { chains, steps, adjusted, temperature, targetAcceptance, jumpEvery } = settings;
  const within = estimated === undefined ? problem : { ...problem, choice: "wasm" as const };
  const total = updates * steps;
  const make = (kernel: AnyTransition, { state, shapes }: Stored, maxStepsPerCall: number) => {
    const spec = {
      transition: kernel,
      sites: density.sites,
      chains,
      shapes,
      targetAt: targetsOf(density, estimated),
      drawPrior: (key: Key) => density.draw(key, chains),
    };
    const use = {
      steps: updates * maxStepsPerCall,
      total,
      collect: false,
      maxStepsPerCall,
      hostValues: "constant" as const,
    };
    return runnersFor(within, spec, { state, key: fold(problem.key, kernel.name) }, use);
  };
  const kernel = langevinKernel(settings);
  const [transition, first] = adjusted
    ? [adapting(kernel, targetAcceptance), mapStored(start, startAdapting)]
    : [kernel, start];
  return {
    reevaluate: await make(reevaluation, start, 1),
    move: await make(transition, first, steps),
    jump: jumpEvery === undefined ? undefined : await make(independence(temperature), start, 1),
  };
}

/** Starts the chains. */
export async function startChains(setting: NegativeSetting, settings: NegativeChainSettings): Promise<NegativeSource> {
  const { problem } = setting;
  const { chains, steps, stepSize, adjusted, buffer, fresh, jumpEvery } = settings;
  const made = chainsOf(setting, settings);
  const { density, estimated, valuesAt } = made;
  const d = dimensionOf(density.sites);
  const drawStart = (key: Key) => density.draw(key, chains);
  const target = targetsOf(density, estimated)(fold(problem.key, "first"));
  const first = drawStart(fold(problem.key, "start"));
  const start = startState("chainDraws", langevinKernel(settings), target, { x: first, chains, stepSize });
  const { reevaluate, move, jump } = await updateRunners(setting, settings, made, start);
  const persistent = chainBuffer({ batches: buffer, chains, d, share: fresh }, (b) =>
    drawStart(fold(fold(problem.key, "fill"), b)),
  );
  /** The state that continues from update to update besides the positions: the step size and its adaptation. */
  let carried: ArrayState = adjusted ? mapStored(start, startAdapting).state : start.state;
  const statistics = chainStatistics();

  /** The state at positions, under the current energy. */
  const evaluateAt = async (x: Float32Array, key: Key): Promise<ArrayState> => {
    const range = { from: 0, to: 1, keyAt: () => fold(key, "at") };
    const state = await runSteps(reevaluate, { ...carried, x }, range, (block) => block.state);
    checkStart("chainDraws", state, chains);
    return { ...carried, ...state };
  };
  const keyOf = (key: Key) => (t: number) => fold(fold(key, "move"), t);
  const jumpsOf = (key: Key): Jumps | undefined =>
    jump && {
      every: jumpEvery as number,
      keyAt: (t) => fold(keyOf(key)(t), "jump"),
      runners: () => jump,
      note: statistics.jump,
    };
  return {
    count: chains,
    async next(step) {
      const key = fold(fold(problem.key, "chains"), step);
      const batch = persistent.take(drawStart(fold(key, "born")), key);
      statistics.take(batch.fresh, chains);
      const range = { from: 0, to: steps, keyAt: keyOf(key), ...(jumpEvery !== undefined && { every: jumpEvery }) };
      const state = await runSteps(move, await evaluateAt(batch.x, key), range, (block, at) => {
        statistics.move(block);
        return jumpIfDue(jumpsOf(key), block.state, at + block.count);
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
    Object.entries(parts[0] as NegativeDraws).map(([name, { shape }]) => {
      const all = joinArrays(
        parts.map((part) => (part[name] as NdArray).data),
        (n) => new Float32Array(n),
      );
      return [name, ndarray(all, [batches * (shape[0] as number), ...shape.slice(1)])];
    }),
  );
}

function warningsOf({ adjusted, temperature }: NegativeChainSettings, { estimated }: Chains): readonly string[] {
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
