/** The rows of the race: as JSON, as a table for the terminal, and as the page docs/race.md. */
import { cpus } from "node:os";
import { type Outcome, outcomes } from "./goals.ts";
import type { Check, Workload } from "./workloads.ts";

/** One system on one workload. */
export interface Row {
  readonly workload: string;
  readonly system: string;
  readonly engine: string;
  readonly threads: number;
  readonly firstCallMs?: number;
  readonly medianMs?: number;
  /** Fewest and most. */
  readonly spread?: readonly [number, number];
  readonly peakMiB?: number;
  /** The least time this machine could need. */
  readonly floorMs?: number;
  readonly check?: Check;
  readonly error?: string;
  /** Of the bundle: what a page loads, compressed. */
  readonly gzipKiB?: { readonly script: number; readonly engine: number };
}

/** Rows as JSON, each with the same names, null where it has no value. */
export const saved = (rows: readonly Row[]): string =>
  `${JSON.stringify(
    rows.map(({ workload, system, engine, threads, firstCallMs, medianMs, spread, check, ...more }) => ({
      workload,
      system,
      engine,
      threads,
      firstCallMs: firstCallMs ?? null,
      medianMs: medianMs ?? null,
      spread: spread ?? null,
      check: check ?? null,
      ...more,
    })),
    null,
    2,
  )}\n`;

/** Rows from that JSON. */
export const restored = (text: string): Row[] =>
  (JSON.parse(text) as object[]).map(
    (row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown as Row,
  );

const ms = (x: number | undefined): string =>
  x === undefined ? "" : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);

/** The fastest of our engines, to which others are compared. */
const ours = (rows: readonly Row[]): number =>
  Math.min(
    ...rows
      .filter((r) => r.system.startsWith("tilted") && r.check?.ok)
      .map((r) => r.medianMs ?? Number.POSITIVE_INFINITY),
  );

/** Remarks on the systems that ran. */
export const remarksOf = (workload: Workload | undefined, rows: readonly Row[]): string[] =>
  Object.entries(workload?.remarks ?? {}).flatMap(([system, remark]) => {
    const row = rows.find((r) => r.system === system && r.workload === workload?.name);
    return row === undefined ? [] : [`${row.engine}: ${remark}.`];
  });

const HEAD = ["system", "threads", "first call, ms", "median, ms", "spread", "÷ ours", "÷ floor", "MiB", "answers"];

function cells(row: Row, best: number): string[] {
  const { medianMs, spread, check } = row;
  return [
    row.engine,
    String(row.threads),
    ms(row.firstCallMs),
    ms(medianMs),
    spread === undefined ? "" : `${ms(spread[0])} to ${ms(spread[1])}`,
    medianMs === undefined || !Number.isFinite(best) ? "" : (medianMs / best).toFixed(2),
    medianMs === undefined || row.floorMs === undefined ? "" : (medianMs / row.floorMs).toFixed(1),
    row.peakMiB === undefined ? "" : row.peakMiB.toFixed(0),
    row.error ?? (check === undefined ? "" : check.ok ? "agree" : `differ: ${check.worst}`),
  ];
}

function padded(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] as readonly string[]).map((_, i) => Math.max(...lines.map((l) => (l[i] as string).length)));
  return lines.map((l) => `  ${l.map((cell, i) => cell.padEnd(widths[i] as number)).join("  ")}`.trimEnd()).join("\n");
}

/** For a terminal. */
export function show(rows: readonly Row[]): string {
  const best = ours(rows);
  return padded([HEAD, ...rows.map((row) => cells(row, best))]);
}

const line = (c: readonly string[]) => `| ${c.join(" | ")} |`;
const table = (head: readonly string[], body: readonly (readonly string[])[]): string[] =>
  [head, head.map(() => "---"), ...body].map(line);

/** All workloads for one number of threads: medians, and the best other system's time over ours. */
function summary(rows: readonly Row[], workloads: readonly Workload[], threads: number): string[] {
  const mine = rows.filter((r) => r.threads === threads && workloads.some((w) => w.name === r.workload));
  if (mine.length === 0) return [];
  const systems = [...new Set(workloads.flatMap((w) => w.systems))].filter((s) => mine.some((r) => r.system === s));
  const titles = systems.map((s) => mine.find((r) => r.system === s && r.engine !== s)?.engine ?? s);
  const body = workloads
    .filter((w) => mine.some((r) => r.workload === w.name))
    .map((w) => {
      const here = mine.filter((r) => r.workload === w.name);
      const good = (r: Row) => r.error === undefined && r.check?.ok === true && r.medianMs !== undefined;
      const peers = here.filter((r) => !r.system.startsWith("tilted") && good(r)).map((r) => r.medianMs as number);
      const ratio = Math.min(...peers) / ours(here);
      const times = systems.map((s) => {
        const row = here.find((r) => r.system === s);
        if (row === undefined) return "";
        return good(row) ? ms(row.medianMs) : row.error === undefined ? "differs" : "none";
      });
      return [`${w.name} (${w.unit})`, ...times, Number.isFinite(ratio) && ratio > 0 ? ratio.toFixed(2) : ""];
    });
  const title = threads === 1 ? "one thread" : `${threads} threads`;
  return [
    `Medians in ms, ${title}. The last column is the best other system's time over the best of ours: above 1, ours is faster.\n`,
    ...table(["", ...titles, "best other ÷ ours"], body),
    "",
  ];
}

const GOAL_HEAD = ["workload", "against", "goal: their time ÷ ours", "measured", ""];
const goalCells = ({ workload, against, wanted, found, met }: Outcome): string[] => [
  workload,
  against,
  String(wanted),
  found.toFixed(2),
  met ? "met" : "missed",
];

/** The goals, for a terminal; nothing where none can be judged. */
export function showGoals(rows: readonly Row[]): string {
  const found = outcomes(rows);
  return found.length === 0 ? "" : padded([GOAL_HEAD, ...found.map(goalCells)]);
}

/** The goals, for a page; a cold start has no threads of its own. */
function goals(rows: readonly Row[], threads: number): string[] {
  const found = outcomes(rows.filter((r) => r.threads === threads || r.workload.startsWith("cold-start")));
  if (found.length === 0) return [];
  const title = threads === 1 ? "one thread" : `${threads} threads`;
  return [`Goals, ${title}:\n`, ...table(GOAL_HEAD, found.map(goalCells)), ""];
}

/** For a page; `when` the rows were measured. */
export function markdown(rows: readonly Row[], workloads: readonly Workload[], when = new Date()): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, ${when.toISOString().slice(0, 10)}`;
  const section = (name: string, text: string): string[] => {
    const mine = rows.filter((r) => r.workload === name);
    if (mine.length === 0) return [];
    // Threads apart: a time on two is no yardstick for a time on one.
    const tables = [...new Set(mine.map((r) => r.threads))].flatMap((threads) => {
      const same = mine.filter((r) => r.threads === threads);
      const best = ours(same);
      return [
        ...table(
          HEAD,
          same.map((row) => cells(row, best)),
        ),
        "",
      ];
    });
    const remarks = remarksOf(
      workloads.find((w) => w.name === name),
      mine,
    ).map((remark) => `${remark}\n`);
    return [`## ${name}\n\n${text}\n`, ...tables, ...remarks];
  };
  const loops = workloads.flatMap(({ name, what, unit }) =>
    section(name, `${what[0]?.toUpperCase()}${what.slice(1)}. Times are for one ${unit}.`),
  );
  const starts = [...new Set(rows.map((r) => r.workload))]
    .filter((name) => name.startsWith("cold-start"))
    .flatMap((name) => section(name, "From the start of a process to the first posterior mean."));
  const bundle = rows
    .filter((r) => r.workload === "bundle")
    .flatMap((r) => [
      "## bundle\n\nThe least a page loads for `snis` on a tilted normal: script and the engine's WebAssembly.\n",
      `${r.gzipKiB?.script.toFixed(0)} KiB of script and ${r.gzipKiB?.engine.toFixed(0)} KiB of WebAssembly, gzip.`,
      "",
    ]);
  const parts = [...loops, ...starts, ...bundle];
  // Cold starts and bundles have no threads of their own.
  const threads = [...new Set(rows.filter((r) => workloads.some((w) => w.name === r.workload)).map((r) => r.threads))];
  const intro = `The same mathematics, shapes, data and precision (float32) in this library and in its peers. Systems take turns, round by round, in
processes of their own. Answers (loss after 20 steps, moments, evidence) are compared before a time counts: "differs" marks a system whose
answer is not that of the others, "none" one that did not answer in time or cannot do the work. [speed.md](speed.md) says how to make your
own model fast.

Measured on ${machine}, with

\`\`\`sh
bench/race/peers.sh                                    # installs the peers, at pinned versions, outside of the tree
npm run bench -- race --threads ${threads.join(",")} --json race.json
npm run bench -- race --from race.json --docs docs/race.md   # this page
\`\`\`

The first call includes everything before the first timed step: loading, compiling, and the steps whose answer is compared. The floor is
a lower bound of the time: the counted products at the rate of this machine's fastest product, and the counted bytes at that of its fastest
copy. MiB is the peak memory of the process, its language's runtime included.`;
  const glance = threads.flatMap((n) => [...summary(rows, workloads, n), ...goals(rows, n)]);
  return `# The race\n\n${intro}\n\n${glance.join("\n")}\n${parts.join("\n").trimEnd()}\n`;
}
