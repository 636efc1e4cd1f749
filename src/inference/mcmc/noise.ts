/**
 * The noise of steps: of every step and input a stream under its own key, so that it does not matter how many steps a call makes, how many
 * chains a part has, or who draws. Where another thread may help, all of a block is made as one job, and that of the next block while this
 * one runs.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fold, type Key } from "../../core/key.ts";
import { normal, uniform } from "../../core/random/draws.ts";
import { type PendingDraws, type Prefetcher, prefetcher } from "../../core/random/prefetch.ts";
import type { NoiseKind, NoiseKinds } from "./kernel.ts";
import { dimensionOf, joinPositions, type SampledSite } from "./sites.ts";

/** One array of noise that a step takes. */
export interface NoiseInput {
  readonly input: string;
  readonly kind: NoiseKind;
  /** Its stream in a step has the key of the step, folded with these names. */
  readonly path: readonly string[];
  /** Numbers of one chain in one step. */
  readonly each: number;
}

const keyOf = (key: Key, { path }: NoiseInput): Key => path.reduce(fold, key);

const inputOf = (name: string, site: SampledSite): string => `${name} ${site.name}`;

/** The inputs of a kernel's noise: normals site by site, for names own randomness. */
export const noiseInputs = (kinds: NoiseKinds, sites: readonly SampledSite[]): readonly NoiseInput[] =>
  Object.entries(kinds).flatMap(([name, kind]): NoiseInput[] => {
    if (kind === "normal")
      return sites.map((site) => ({ input: inputOf(name, site), kind, path: [name, site.name], each: site.size }));
    return [{ input: name, kind, path: [name], each: kind === "uniform" ? 1 : dimensionOf(sites) }];
  });

/** A kernel's noise from its inputs: normals of all sites side by side, `[chains, d]`. */
export const gatherNoise = (
  kinds: NoiseKinds,
  sites: readonly SampledSite[],
  inputs: { readonly [input: string]: tf.Tensor },
): { readonly [name: string]: tf.Tensor } =>
  Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [
      name,
      kind === "normal"
        ? joinPositions(
            sites.map((site) => inputs[inputOf(name, site)] as tf.Tensor),
            sites,
          )
        : (inputs[name] as tf.Tensor),
    ]),
  );

/** Who draws from the prior, and for how many chains. */
export interface NoiseSource {
  readonly chains: number;
  drawPrior(key: Key): Float32Array;
}

/** Shape of an input for so many chains. */
export const noiseShape = ({ kind, each }: NoiseInput, chains: number): number[] =>
  kind === "uniform" ? [chains] : [chains, each];

/** The noise of one step, in the current scope. */
export const noiseTensors = (
  inputs: readonly NoiseInput[],
  { chains, drawPrior }: NoiseSource,
  key: Key,
): { readonly [input: string]: tf.Tensor } =>
  Object.fromEntries(
    inputs.map((noise) => {
      const own = keyOf(key, noise);
      const values =
        noise.kind === "prior" ? drawPrior(own) : { normal, uniform }[noise.kind](own, chains * noise.each);
      return [noise.input, tf.tensor(values, noiseShape(noise, chains))];
    }),
  );

/** The noise of blocks of steps. */
export interface BlockNoise {
  /** Starts the noise of steps, unless that has been done, and where it may pay. */
  start(keys: readonly Key[]): void;
  /** The same, if there is somebody to make it while this thread does other things. */
  prefetch(keys: readonly Key[]): void;
  /** What fills the inputs of steps, started or not, with the rows of `size` chains from chain `start`. */
  of(
    keys: readonly Key[],
  ): readonly { readonly input: string; fill(array: Float32Array, start: number, size: number): void }[];
  /** Gives up what was started. */
  cancel(): void;
}

/** Numbers of noise from which a block is a job for a thread pool. */
const WORTH_JOB = 1 << 15;

const DRAW = { normal: normal.fill, uniform: uniform.fill };

const same = (a: readonly Key[], b: readonly Key[]): boolean =>
  a.length === b.length && a.every(({ hi, lo }, i) => hi === b[i]?.hi && lo === b[i]?.lo);

/** The noise of blocks, of all chains. */
export function blockNoise(inputs: readonly NoiseInput[], { chains, drawPrior }: NoiseSource): BlockNoise {
  const perStep = inputs.reduce((sum, { each }) => sum + each * chains, 0);
  /** Ranges started for one list of keys: those of an input, one for each key, one after another. */
  let now: { readonly keys: readonly Key[]; readonly pending: PendingDraws | undefined } | undefined;
  const streams = inputs.flatMap((noise) => (noise.kind === "prior" ? [] : [{ noise, kind: noise.kind }]));

  const isLarge = (keys: readonly Key[]): boolean => keys.length * perStep >= WORTH_JOB;
  const startBy = (keys: readonly Key[], by: Prefetcher | undefined): void => {
    if (by === undefined) return;
    const ranges = streams.flatMap(({ noise, kind }) =>
      keys.map((key) => ({ kind, key: keyOf(key, noise), offset: 0, count: chains * noise.each })),
    );
    now = { keys, pending: by.start(ranges) };
  };
  return {
    start(keys) {
      if (isLarge(keys) && !(now !== undefined && same(keys, now.keys))) startBy(keys, prefetcher());
    },
    prefetch(keys) {
      const by = isLarge(keys) ? prefetcher() : undefined;
      if (by?.hasWorkers() === true) startBy(keys, by);
    },
    of(keys) {
      const pending = now !== undefined && same(keys, now.keys) ? now.pending : undefined;
      const drawn = streams.map(({ noise, kind }, s) => ({
        input: noise.input,
        fill(array: Float32Array, first: number, size: number) {
          const row = size * noise.each;
          keys.forEach((key, i) => {
            const to = array.subarray(i * row, (i + 1) * row);
            if (row === chains * noise.each && pending?.read(s * keys.length + i, to) === true) return;
            DRAW[kind](keyOf(key, noise), to, first * noise.each);
          });
        },
      }));
      const prior = inputs.flatMap((noise) => {
        if (noise.kind !== "prior") return [];
        const values = keys.map((key) => drawPrior(keyOf(key, noise)));
        const fill = (array: Float32Array, first: number, size: number) => {
          values.forEach((x, i) => {
            array.set(x.subarray(first * noise.each, (first + size) * noise.each), i * size * noise.each);
          });
        };
        return [{ input: noise.input, fill }];
      });
      return [...drawn, ...prior];
    },
    cancel() {
      now?.pending?.cancel();
      now = undefined;
    },
  };
}
