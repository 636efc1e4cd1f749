/**
 * The noise of steps. Every step and input has a stream with its own key, so that the numbers do not depend on the steps in a call, the chains
 * in a part or the thread that draws. Where another thread can help, it draws the noise of a whole block, and of the next block while this one
 * runs.
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

/** The inputs of a kernel's noise. Normals are drawn site by site: a site's name determines its randomness. */
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

/** The number of chains, and draws from the prior. */
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
  /** Starts drawing the noise of steps in other threads, unless started already, where that may pay. */
  start(keys: readonly Key[]): void;
  /** The same, only if workers are running that can draw while this thread computes. */
  prefetch(keys: readonly Key[]): void;
  /** Fills the inputs of steps with the rows of `size` chains from chain `start`; drawn ahead or not, the numbers are the same. */
  of(
    keys: readonly Key[],
  ): readonly { readonly input: string; fill(array: Float32Array, start: number, size: number): void }[];
  /** Drops what was started. */
  cancel(): void;
}

/** Numbers of noise in a block from which the thread pool draws them. */
const MIN_PREFETCH = 1 << 15;

const FILL = { normal: normal.fill, uniform: uniform.fill };

const same = (a: readonly Key[], b: readonly Key[]): boolean =>
  a.length === b.length && a.every(({ hi, lo }, i) => hi === b[i]?.hi && lo === b[i]?.lo);

/** The noise of blocks, of all chains. */
export function blockNoise(inputs: readonly NoiseInput[], { chains, drawPrior }: NoiseSource): BlockNoise {
  const perStep = inputs.reduce((sum, { each }) => sum + each * chains, 0);
  /** Ranges started for one list of keys: those of an input, one for each key, one after another. */
  let started: { readonly keys: readonly Key[]; readonly pending: PendingDraws | undefined } | undefined;
  const streams = inputs.flatMap((noise) => (noise.kind === "prior" ? [] : [{ noise, kind: noise.kind }]));

  const isLarge = (keys: readonly Key[]): boolean => keys.length * perStep >= MIN_PREFETCH;
  const startBy = (keys: readonly Key[], by: Prefetcher | undefined): void => {
    if (by === undefined) return;
    const ranges = streams.flatMap(({ noise, kind }) =>
      keys.map((key) => ({ kind, key: keyOf(key, noise), offset: 0, count: chains * noise.each })),
    );
    started = { keys, pending: by.start(ranges) };
  };
  return {
    start(keys) {
      if (isLarge(keys) && !(started !== undefined && same(keys, started.keys))) startBy(keys, prefetcher());
    },
    prefetch(keys) {
      const by = isLarge(keys) ? prefetcher() : undefined;
      if (by?.hasWorkers() === true) startBy(keys, by);
    },
    of(keys) {
      const pending = started !== undefined && same(keys, started.keys) ? started.pending : undefined;
      const drawn = streams.map(({ noise, kind }, s) => ({
        input: noise.input,
        fill(array: Float32Array, first: number, size: number) {
          const row = size * noise.each;
          keys.forEach((key, i) => {
            const to = array.subarray(i * row, (i + 1) * row);
            if (row === chains * noise.each && pending?.read(s * keys.length + i, to) === true) return;
            FILL[kind](keyOf(key, noise), to, first * noise.each);
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
      started?.pending?.cancel();
      started = undefined;
    },
  };
}
