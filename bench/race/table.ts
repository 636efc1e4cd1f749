/** Rows of the race as a table for people. */
import { cpus } from "node:os";
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
}

const ms = (x: number | undefined): string =>
  x === undefined ? "" : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);

/** Our fastest, to which others are compared. */
const ours = (rows: readonly Row[]): number =>
  Math.min(
    ...rows
      .filter((r) => r.system.startsWith("tilted") && r.check?.ok)
      .map((r) => r.medianMs ?? Number.POSITIVE_INFINITY),
  );

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

/** For a terminal. */
export function show(rows: readonly Row[]): string {
  const best = ours(rows);
  const lines = [HEAD, ...rows.map((row) => cells(row, best))];
  const widths = HEAD.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) => `  ${line.map((cell, i) => cell.padEnd(widths[i] as number)).join("  ")}`.trimEnd())
    .join("\n");
}

/** For a page. */
export function markdown(rows: readonly Row[], workloads: readonly Workload[]): string {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  const line = (c: readonly string[]) => `| ${c.join(" | ")} |`;
  const section = (name: string, text: string): string[] => {
    const mine = rows.filter((r) => r.workload === name);
    if (mine.length === 0) return [];
    // Threads apart: a time on two is no yardstick for a time on one.
    const tables = [...new Set(mine.map((r) => r.threads))].flatMap((threads) => {
      const same = mine.filter((r) => r.threads === threads);
      const best = ours(same);
      return [line(HEAD), line(HEAD.map(() => "---")), ...same.map((row) => line(cells(row, best))), ""];
    });
    return [`## ${name}\n\n${text}\n`, ...tables];
  };
  const loops = workloads.flatMap(({ name, what, unit }) =>
    section(name, `${what[0]?.toUpperCase()}${what.slice(1)}. Times are for one ${unit}.`),
  );
  const starts = [...new Set(rows.map((r) => r.workload))]
    .filter((name) => name.startsWith("cold-start"))
    .flatMap((name) => section(name, "From the start of a process to the first posterior mean."));
  const bundle = rows
    .filter((r) => r.workload === "bundle")
    .flatMap((r) => ["## bundle\n\nThe minimum a page loads, library and engine.\n", `${r.engine}.`, ""]);
  const parts = [...loops, ...starts, ...bundle];
  return `# The race\n\nMade by \`npm run bench -- race --docs FILE\` on ${machine}. Systems take turns in processes of their own; medians, fewest and most.\n\n${parts.join("\n")}`;
}
