/** Negatives from chains of the tilted model: persistent in a buffer, of which a part is drawn afresh, or new in every step. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { bits, normal, uniform } from "../../core/random/draws.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import { toTensors } from "../../core/tree.ts";
import { replay } from "../../effects/handlers.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import { compileKernel } from "../mcmc/compiled-density.ts";
import {
  acceptLangevin,
  evaluateLangevin,
  initLangevin,
  jumpLangevin,
  type LangevinKernel,
  proposeLangevin,
} from "../mcmc/langevin-kernel.ts";
import { type Drift, driftWarnings, integrated, marginalKernel } from "../mcmc/langevin-marginal.ts";
import { adaptStepSize, startStepSize } from "../mcmc/step-size.ts";
import { densityOf, sampledSites } from "../mcmc/target.ts";
import { inspectModel } from "../problem/inspect-model.ts";
import type { Coordinates, NegativeDraws, NegativeSetting, NegativeSource, Negatives } from "./negatives.ts";

/** Options of {@link chainDraws}. */
export interface ChainDrawsOptions {
  /** Chains a step: the number of negatives. Default 64. */
  readonly chains?: number;
  /** Langevin steps between two steps of training. Default 10. */
  readonly steps?: number;
  /** η, where the adaptation starts. Default 0.01. */
  readonly stepSize?: number;
  /** T. Default 1. */
  readonly temperature?: number;
  /** Metropolis. Default true. */
  readonly adjusted?: boolean;
  /** Acceptance that the step size is adapted to while training goes on; only with `adjusted`. Default .574. */
  readonly targetAcceptance?: number;
  /**
   * Chains that wait, in multiples of `chains`: every step takes a random batch of them, moves it and puts it back. Default 64. 0: chains
   * start at fresh base draws every step (no persistence), which is right only if they are long.
   */
  readonly buffer?: number;
  /** Share of a batch that starts anew from the base. Default .05. */
  readonly fresh?: number;
  /**
   * Every so many Langevin steps, a chain offers to jump to a draw of the base, by Metropolis-Hastings with min(1, e^{E(x) − E(x′)}): exact, and
   * far-reaching while the tilt is gentle. Default: never. Not together with `drift`.
   */
  readonly jumpEvery?: number;
  /**
   * Coordinates in which chains move. Default: all latent sites of the base as they are, but where the tilted site is discrete or a picture (64
   * entries or more) its noise, `inNoise("x")`. `(base) => base` keeps even a picture as it is.
   */
  readonly coordinates?: Coordinates;
  /**
   * Follows this estimate of ∇ log p(x), as `fisherDrift(net)`: chains over x alone, the latent integrated out. p̂(x) is estimated anew in every step
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
  for (const [name, value] of Object.entries({ chains, steps }))
    if (!Number.isInteger(value) || value < 1)
      fail("argument", `chainDraws: ${name} must be a positive integer, got ${value}`);
  for (const [name, value] of Object.entries({ stepSize, temperature }))
    if (!(value > 0 && Number.isFinite(value))) fail("argument", `chainDraws: ${name} must be positive, got ${value}`);
  if (!Number.isInteger(buffer) || buffer < 0)
    fail("argument", `chainDraws: buffer must be a whole number, got ${buffer}`);
  if (!(fresh >= 0 && fresh <= 1)) fail("argument", `chainDraws: fresh must be a share, got ${fresh}`);
  if (jumpEvery !== undefined && (!Number.isInteger(jumpEvery) || jumpEvery < 1))
    fail("argument", `chainDraws: jumpEvery must be a positive integer, got ${jumpEvery}`);
  if (drift !== undefined && jumpEvery !== undefined)
    fail("argument", "chainDraws: with a drift chains do not jump; leave out jumpEvery");
  if (drift !== undefined && coordinates !== undefined)
    fail("argument", `chainDraws: a drift moves "${drift.site}" as it is; leave out coordinates`);
  const schedule = { chains, steps, stepSize, targetAcceptance };
  const along = drift === undefined ? "" : `, drift ${drift.name}`;
  return {
    name: buffer === 0 ? `chains(${chains}${along})` : `buffer(${buffer} × ${chains}, ${fresh} fresh${along})`,
    kind: "even",
    ...(coordinates && { coordinates }),
    ...(drift && { alone: drift.site }),
    start: (setting) => startChains(setting, { ...schedule, temperature, adjusted, buffer, fresh, drift, jumpEvery }),
  };
}

interface ChainSettings extends Required<Omit<ChainDrawsOptions, "coordinates" | "drift" | "jumpEvery">> {
  readonly drift: Drift | undefined;
  readonly jumpEvery: number | undefined;
}

async function startChains(
  { problem, tilted, steps: updates }: NegativeSetting,
  settings: ChainSettings,
): Promise<NegativeSource> {
  const { chains, steps, temperature, adjusted, buffer, fresh, drift, jumpEvery } = settings;
  const inside = { ...problem, model: tilted };
  const structure = drift === undefined ? inspectModel(inside) : integrated(inside, drift, undefined).structure;
  const wanted = drift === undefined ? inspectModel(problem).latents.map(({ name }) => name) : [drift.site];
  const moving = sampledSites(structure, chains);
  const place = densityOf(inside, tilted, structure, moving, chains);
  const how = { temperature, adjusted };
  const shapes = moving.map((m) => m.unconstrained);
  const estimated = drift && marginalKernel(inside, drift, structure, shapes[0] ?? [], how);
  const eager: LangevinKernel = estimated?.kernel ?? { logDensity: place.logDensity, shapes, ...how };
  const sizes = moving.map(({ unconstrained }) => sizeOf(unconstrained) / chains);
  const drawAt = (key: Key) => place.draw(key);
  const first = drawAt(fold(problem.key, "start"));
  // The energy changes after every few steps, and with it the density: not in blocks.
  const { kernel, dispose } =
    estimated === undefined
      ? await compileKernel(eager, problem, { steps: updates * steps, start: first })
      : { kernel: eager, dispose: () => undefined };
  // The buffer, site by site; filled with base draws batch after batch.
  const rows = buffer * chains;
  const store = sizes.map((size) => new Float32Array(rows * size));
  for (let b = 0; b < buffer; b++) {
    drawAt(fold(fold(problem.key, "fill"), b)).forEach((x, s) => {
      (store[s] as Float32Array).set(x, b * chains * (sizes[s] as number));
    });
  }
  let adaptation = startStepSize(settings.stepSize);
  let eta = settings.stepSize;
  const warnings = () => [
    ...(adjusted ? [] : ["the negatives' chains are unadjusted: they are off by a bias of the order of the step size"]),
    ...(temperature === 1
      ? []
      : [`the negatives' chains run at temperature ${temperature}, where they are not draws of the tilted model`]),
    ...(estimated === undefined ? [] : driftWarnings(estimated.report(), adjusted)),
  ];
  const unseen = { accepted: 0, moves: 0, nonFinite: 0, fresh: 0, taken: 0, jumped: 0, jumps: 0 };
  const seen = { ...unseen };
  const valuesOf = (positions: readonly Float32Array[]): NegativeDraws =>
    scope(() => {
      const free = place.constrain(positions);
      const n = (positions[0] as Float32Array).length / (sizes[0] as number);
      const moved = moving.map(
        ({ name, shape }, s) => [name, ndarray((free[s] as Float32Array).slice(), [n, ...shape.slice(1)])] as const,
      );
      // Along a drift nothing else is known.
      if (estimated !== undefined) return Object.fromEntries(moved);
      const latents = Object.fromEntries(moved.map(([name, value]) => [name, value.tensor()]));
      const run = interpret(replay({ latents })(unscored(tilted))(), {
        particles: n,
        depth: structure.depth,
        params: toTensors(inside.params),
      });
      return Object.fromEntries(wanted.map((name) => [name, exportSite(run, run.sites.get(name) as never)]));
    });
  return {
    count: chains,
    async next(step) {
      const key = fold(fold(problem.key, "chains"), step);
      const born = drawAt(fold(key, "born"));
      const picks = Array.from(bits(fold(key, "pick"), chains), (b) => b % Math.max(1, rows));
      const renewed = uniform(fold(key, "renew"), chains);
      const start = born.map((x, s) => {
        const size = sizes[s] as number;
        if (rows === 0) return x;
        const out = x.slice();
        picks.forEach((row, c) => {
          if ((renewed[c] as number) >= fresh)
            out.set((store[s] as Float32Array).subarray(row * size, (row + 1) * size), c * size);
        });
        return out;
      });
      seen.fresh += rows === 0 ? chains : renewed.filter((u) => u < fresh).length;
      seen.taken += chains;
      let state =
        kernel.evaluateLater === undefined
          ? initLangevin(kernel, start, fold(key, "at"))
          : await kernel.evaluateLater(start);
      for (let t = 0; t < steps; t++) {
        const at = fold(fold(key, "move"), t);
        const noise = {
          normals: moving.map(({ name, unconstrained }) => normal(fold(at, name), sizeOf(unconstrained))),
          uniforms: uniform(fold(at, "accept"), chains),
        };
        const to = proposeLangevin(kernel, state, eta, noise);
        const proposal = await (kernel.evaluateLater?.(to) ?? evaluateLangevin(kernel, to, at));
        const moved = acceptLangevin(kernel, state, eta, noise, proposal);
        state = moved.state;
        const mean = moved.info.acceptance.reduce((a, b) => a + b, 0) / chains;
        seen.accepted += mean;
        seen.nonFinite += moved.info.nonFinite;
        seen.moves++;
        if (adjusted) {
          adaptation = adaptStepSize(adaptation, mean, settings.targetAcceptance);
          eta = Math.exp(adaptation.logStep);
        }
        if (jumpEvery === undefined || (t + 1) % jumpEvery !== 0) continue;
        const [target, u] = [drawAt(fold(at, "jump")), uniform(fold(at, "jump accept"), chains)];
        const jump = jumpLangevin(kernel, state, place.logPrior, target, u);
        state = jump.state;
        seen.jumped += jump.acceptance;
        seen.jumps++;
      }
      state.positions.forEach((x, s) => {
        const size = sizes[s] as number;
        if (rows > 0)
          picks.forEach((row, c) => {
            (store[s] as Float32Array).set(x.subarray(c * size, (c + 1) * size), row * size);
          });
      });
      return valuesOf(state.positions);
    },
    info() {
      const out = {
        acceptance: seen.accepted / Math.max(1, seen.moves),
        stepSize: eta,
        ...(jumpEvery !== undefined && { jumpAcceptance: seen.jumped / Math.max(1, seen.jumps) }),
        fresh: seen.fresh / Math.max(1, seen.taken),
        nonFinite: seen.nonFinite,
        ...(estimated && { drift: estimated.report() }),
        ...(warnings().length > 0 && { warnings: warnings() }),
      };
      Object.assign(seen, unseen);
      return out;
    },
    held(n) {
      if (rows === 0) return undefined;
      // Whole batches, because chains run that many at a time.
      const batches = Math.max(1, Math.min(buffer, Math.ceil(n / chains)));
      const parts = Array.from({ length: batches }, (_, b) =>
        valuesOf(
          store.map((x, s) => x.slice(b * chains * (sizes[s] as number), (b + 1) * chains * (sizes[s] as number))),
        ),
      );
      return Object.fromEntries(
        wanted.map((name) => {
          const arrays = parts.map((p) => p[name] as NdArray);
          const shape = [arrays.length * chains, ...(arrays[0] as NdArray).shape.slice(1)];
          const out = new Float32Array(sizeOf(shape));
          arrays.forEach((a, i) => {
            out.set(a.data, (i * out.length) / arrays.length);
          });
          return [name, ndarray(out, shape)];
        }),
      );
    },
    dispose,
  };
}
