/** Self-normalised importance sampling with weights for every row of a plate: the run, in chunks of draws and blocks of rows. */
import { type NdArray, ndarray } from "../../core/array.ts";
import { fail } from "../../core/errors.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { sizeOf } from "../../core/shape.ts";
import type { PlateFrame } from "../../effects/effects.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { momentStream, type PartWeights, weightStream } from "../numeric/weighted-moments.ts";
import { matchProposal, type Proposal, particlesAtOnce } from "../problem/match-proposal.ts";
import type { ModelAndGuide } from "../problem/model-and-guide.ts";
import { copyRows, type RowBlock, type RowSite, rowBlocks, rowDraws, rowPlate, rowSite } from "../problem/row-plate.ts";
import { zerosLike } from "../problem/site-draws.ts";
import { weigh } from "../problem/weigh.ts";
import { evidenceLabel } from "../weights/bound.ts";
import { replacements } from "../weights/reservoir.ts";
import { type SnisRowsResult, snisRowsResult } from "./snis-rows-result.ts";
import { compiledChunk, type Weigh, weigherFor } from "./weigher.ts";

/** Options of a run, checked. */
export interface RowSettings {
  readonly n: number;
  readonly proposal: Proposal;
  readonly chunk: number | undefined;
  /** Sites whose draws are kept; `undefined` keeps all. */
  readonly keep: readonly string[] | undefined;
  readonly resamples: number;
}

/** Most numbers of kept draws: 2 GiB. */
const MAX_KEPT_NUMBERS = 2 ** 29;

/** Results of one site, filled during the run. */
interface SiteResult {
  readonly site: RowSite;
  /** Whether draws are kept. */
  readonly keeps: boolean;
  /** `[n, ...inner, rows, ...event]`, allocated with the first draws, which show the type. */
  kept?: NdArray;
  /** `[resamples, ...inner, rows, ...event]`. */
  unweighted?: NdArray;
  /** `[...inner, rows, ...event]`. */
  readonly mean: NdArray;
  readonly standardError: NdArray;
  readonly variance: NdArray;
}

/** Shape of a result of this site over all rows. */
const shapeOf = ({ inner, event }: RowSite, rows: number, ...lead: readonly number[]): number[] => [
  ...lead,
  ...inner,
  rows,
  ...event,
];

const empty = (shape: readonly number[], like: NdArray["data"] = new Float32Array()): NdArray =>
  ndarray(zerosLike(like, sizeOf(shape)), shape);

/** Runs `n` draws of every row of the plate around all sites. */
export async function snisRows(problem: Problem, settings: RowSettings): Promise<SnisRowsResult> {
  const { n, proposal } = settings;
  const pair = matchProposal(problem, proposal);
  const { normalized, observed, subsampled } = pair.modelInfo;
  const frame = rowPlate(pair);
  const blocks = rowBlocks(frame, !subsampled.has(frame.name), problem.key);
  const rows = blocks.reduce((sum, block) => sum + block.rows, 0);
  const logWeights = new Float32Array(n * rows);
  const results = siteResults(pair, settings, rows);
  const compiled = await drawBlocks(pair, settings, blocks, { frame, rows, logWeights, results });
  const pick = <T>(value: (result: SiteResult) => T | undefined): { readonly [name: string]: T } =>
    Object.fromEntries(
      results.flatMap((result) => {
        const found = value(result);
        return found === undefined ? [] : [[result.site.name, found]];
      }),
    );
  return snisRowsResult({
    n,
    rows,
    logWeights,
    scale: frame.size / rows,
    sites: pick(({ kept }) => kept),
    resamples: pick(({ unweighted }) => unweighted),
    means: pick(({ mean, standardError, variance }) => ({ value: mean, standardError, variance })),
    layouts: new Map(results.map(({ site }) => [site.name, site])),
    of: evidenceLabel(normalized, observed.length > 0),
    key: problem.key,
    params: pair.params,
    engine: { ...problem.engine, compiled },
  });
}

/** Empty results for every site with draws. */
function siteResults({ modelInfo }: ModelAndGuide, { n, keep }: RowSettings, rows: number): SiteResult[] {
  const drawn = modelInfo.sites.filter(({ kind }) => kind === "sample" || kind === "deterministic");
  checkKeep(
    keep,
    drawn.map(({ name }) => name),
  );
  const results = drawn.map((info): SiteResult => {
    const site = rowSite(info);
    const make = () => empty(shapeOf(site, rows));
    const keeps = keep === undefined || keep.includes(site.name);
    return { site, keeps, mean: make(), standardError: make(), variance: make() };
  });
  checkSize(results, n, rows);
  return results;
}

/** Draws every block of rows, chunk by chunk, into the target. */
async function drawBlocks(
  pair: ModelAndGuide,
  settings: RowSettings,
  blocks: readonly RowBlock[],
  target: Target,
): Promise<CompileInfo> {
  const { n, chunk } = settings;
  const { problem, modelInfo } = pair;
  const particlesOf = Math.min(n, chunk ?? compiledChunk(pair));
  const [one, two] = blocks as [RowBlock, RowBlock | undefined];
  const rowPlates = [target.frame];
  const chunkOf = ({ key, subsample }: RowBlock) => ({ key, subsample, particles: particlesOf, first: 0, rowPlates });
  const weigher = await weigherFor(pair, problem.choice, {
    particles: particlesOf,
    count: Math.floor(n / particlesOf) * blocks.length,
    first: chunkOf(one),
    ...(two?.rows === one.rows && { other: chunkOf(two) }),
  });
  const atOnce = weigher.info.used ? particlesOf : Math.min(n, chunk ?? particlesAtOnce(modelInfo));
  const opByOp: Weigh = (at) => weigh(pair, at);
  let done = 0;
  try {
    for (const block of blocks) {
      // The last block may have fewer rows than the traced run.
      const sameRows = block.rows === one.rows;
      const stream = blockStream(sameRows ? weigher.weigh : opByOp, settings, { ...target, block });
      for (let first = 0; first < n; first += atOnce) {
        const particles = Math.min(atOnce, n - first);
        if (sameRows) await weigher.prepare({ ...chunkOf(block), particles, first });
        stream.add(first, particles);
        done += particles;
        await problem.tick({ step: done, total: n * blocks.length, metrics: {} });
      }
      stream.finish();
    }
  } finally {
    weigher.dispose();
  }
  return weigher.info;
}

/** Where all draws are written. */
interface Target {
  readonly frame: PlateFrame;
  /** Rows of all blocks. */
  readonly rows: number;
  readonly logWeights: Float32Array;
  readonly results: readonly SiteResult[];
}

/** Where the draws of one block are written. */
interface BlockTarget extends Target {
  readonly block: RowBlock;
}

/** Accumulates the draws of one block of rows, chunk by chunk. */
function blockStream(weighPart: Weigh, { n, resamples }: RowSettings, target: BlockTarget) {
  const { frame, block, rows, logWeights, results } = target;
  // Rows of the population that each row of the block stands for in its log-weights.
  const scale = frame.size / block.rows;
  const weights = weightStream(block.rows);
  const streams = results.map(({ site: { inner, event } }) =>
    momentStream({ outer: sizeOf(inner), rows: block.rows, size: sizeOf(event) }),
  );
  let last: PartWeights | undefined;

  return {
    add(first: number, particles: number): void {
      const { key, subsample } = block;
      const { logW, draws } = scope(() => {
        const weighed = weighPart({ key, subsample, particles, first, rowPlates: [frame] });
        return {
          logW: (weighed.logWeights.dataSync() as Float32Array).map((l) => l / scale),
          draws: results.map(({ site }) => rowDraws(weighed.model, site, particles, block.rows)),
        };
      });
      for (let i = 0; i < particles; i++) {
        logWeights.set(logW.subarray(i * block.rows, (i + 1) * block.rows), (first + i) * rows + block.from);
      }
      const part = weights(logW);
      last = part;
      const changes =
        resamples === 0 ? [] : replacements(resamples, part, fold(fold(fold(key, "resamples"), block.from), first));
      results.forEach((result, s) => {
        const { site, keeps } = result;
        const { data } = draws[s] as NdArray;
        streams[s]?.add(data, part);
        const here = { data, rows: block.rows };
        if (keeps) {
          result.kept ??= empty(shapeOf(site, rows, n), data);
          const to = { data: result.kept.data, rows, at: block.from };
          for (let i = 0; i < particles; i++) {
            copyRows(site, { ...here, draw: i, at: 0 }, { ...to, draw: first + i }, block.rows);
          }
        }
        result.unweighted ??= empty(shapeOf(site, rows, resamples), data);
        const to = { data: result.unweighted.data, rows };
        for (const { slot, row, draw } of changes) {
          copyRows(site, { ...here, draw, at: row }, { ...to, draw: slot, at: block.from + row }, 1);
        }
      });
    },
    finish(): void {
      results.forEach(({ site, ...result }, s) => {
        const moments = streams[s]?.moments(last as PartWeights);
        for (const name of ["mean", "variance", "standardError"] as const) {
          const from = { data: moments?.[name] as Float64Array, rows: block.rows, draw: 0, at: 0 };
          copyRows(site, from, { data: result[name].data, rows, draw: 0, at: block.from }, block.rows);
        }
      });
    },
  };
}

function checkKeep(keep: readonly string[] | undefined, names: readonly string[]): void {
  const unknown = keep?.find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const has = names.map((name) => `"${name}"`).join(", ");
  fail("missing-site", `snis: keep names "${unknown}", but the sites with draws are ${has}`, { site: unknown });
}

function checkSize(results: readonly SiteResult[], n: number, rows: number): void {
  const numbers = results.reduce((sum, { site, keeps }) => (keeps ? sum + sizeOf(shapeOf(site, rows, n)) : sum), 0);
  if (numbers <= MAX_KEPT_NUMBERS) return;
  const size = ((4 * numbers) / 2 ** 30).toFixed(1);
  fail(
    "argument",
    `snis: keeping all draws would take ${size} GiB; name the sites to keep, or take keep: false: means and resamples need no kept draws`,
  );
}
