/** Draws of a site as one array `[n, ...]`: read from a run, selected by row, and mapped through a function in chunks. */
import * as tf from "@tensorflow/tfjs-core";
import { fromTensor, type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import type { TensorTree, Tree } from "../../core/tree.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import { exportSite } from "../../effects/site-value.ts";
import { readInto, readView } from "../../engine/read.ts";

/** Sites of a run that have draws: latent and deterministic ones. */
export const drawnSites = (run: Execution): SiteRecord[] =>
  [...run.sites.values()].filter(
    (site) => (site.kind === "sample" || site.kind === "deterministic") && site.value !== undefined,
  );

/** A site's draws, one row for each particle, also where all particles share one value. */
export function drawsOf(run: Execution, site: SiteRecord, particles: number): NdArray {
  const array = exportSite(run, site);
  if (array.shape[0] === particles && array.shape.length > site.plates.length + site.eventRank) return array;
  const value = site.value as tf.Tensor;
  return fromTensor(tf.broadcastTo(tf.expandDims(value, 0), [particles, ...value.shape]));
}

/**
 * Copies a site's draws into `all` from row `first` on; `all` `[n, ...]` is allocated with the first draws.
 */
export function gatherDraws(
  run: Execution,
  site: SiteRecord,
  particles: number,
  { all, first, n }: { readonly all: NdArray | undefined; readonly first: number; readonly n: number },
): NdArray {
  const value = site.value as tf.Tensor;
  const whole = value.shape[0] === particles && value.rank > site.plates.length + site.eventRank;
  if (all !== undefined && whole && value.dtype === "float32" && all.data instanceof Float32Array) {
    readInto(value, all.data, first * (value.size / particles));
    return all;
  }
  const { data, shape } = drawsOf(run, site, particles);
  const each = sizeOf(shape.slice(1));
  const made = all ?? ndarray(zerosLike(data, n * each), [n, ...shape.slice(1)]);
  made.data.set(data, first * each);
  return made;
}

/** An array of the same type as another, of zeros. */
export const zerosLike = (data: Float32Array | Int32Array, length: number): Float32Array | Int32Array =>
  data instanceof Int32Array ? new Int32Array(length) : new Float32Array(length);

/** Rows of the first axis. */
export function takeRows({ data, shape }: NdArray, rows: Int32Array): NdArray {
  const size = sizeOf(shape.slice(1));
  const out = zerosLike(data, rows.length * size);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * size, (row + 1) * size), i * size);
  });
  return ndarray(out, [rows.length, ...shape.slice(1)]);
}

/** The site of that name. @throws `missing-site` when there is none. */
export const siteOf = <T>(sites: { readonly [name: string]: T }, name: string): T =>
  sites[name] ??
  fail(
    "missing-site",
    `snis: there is no site "${name}"; there are ${Object.keys(sites)
      .map((s) => `"${s}"`)
      .join(", ")}`,
  );

/** Numbers that a function of the sites computes in one call. */
const MAX_EVALUATED_DRAWS = 1 << 16;

/** `size` numbers for each of `n` draws, in chunks of draws: calls `take` with the values of each chunk, valid during the call, and its first draw. */
export function evaluateParts(
  sites: Tree<NdArray>,
  of: (sites: TensorTree) => tf.Tensor,
  { n, size = 1 }: { readonly n: number; readonly size?: number },
  take: (values: ArrayLike<number>, first: number, draws: number) => void,
): void {
  const atOnce = Math.max(1, Math.floor(MAX_EVALUATED_DRAWS / size));
  for (let first = 0; first < n; first += atOnce) {
    const draws = Math.min(atOnce, n - first);
    scope(() => {
      const part = Object.fromEntries(
        Object.entries(sites).map(([name, { data, shape, dtype }]) => {
          const each = sizeOf(shape.slice(1));
          const drawn = data.subarray(first * each, (first + draws) * each);
          return [name, tf.tensor(drawn, [draws, ...shape.slice(1)], dtype)];
        }),
      );
      const h = readView(of(part));
      if (h.length !== draws * size) {
        const wanted = size === 1 ? `${draws} draws` : `${draws} draws of ${size} rows`;
        fail("shape", `expectation: the function gave ${h.length} numbers for ${wanted}`);
      }
      take(h, first, draws);
    });
  }
}

/** The same as one array `[n, size]`. */
export function evaluate(
  sites: Tree<NdArray>,
  of: (sites: TensorTree) => tf.Tensor,
  n: number,
  size = 1,
): Float64Array {
  const out = new Float64Array(n * size);
  evaluateParts(sites, of, { n, size }, (values, first) => out.set(values, first * size));
  return out;
}
