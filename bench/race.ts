/**
 * The race: the same work in this library and in its peers, in one run, in one table.
 *
 *   npm run bench -- race [--only NAME,…] [--systems NAME,…] [--threads 1,2] [--rounds 5] [--json FILE] [--docs FILE]
 *   npm run bench -- race --from FILE.json --docs FILE
 *
 * --only     workloads: vae-step, energy-step, langevin, snis, snis-vae, iwae-step, notmiwae-step, mala-gaussian, mala-logistic,
 *            cold-start, bundle; all of them unless told
 * --systems  tilted-wasm, tilted-compiled, tilted-node-gpu, tfjs, jax-js, torch, pyro, jax, numpyro, blackjax; all that are installed unless
 *            told; tilted-node-gpu where TILTED_NODE_GPU names the folder that scripts/build-tfjs-node.sh has filled
 * --threads  of arithmetic, for everyone; every number given is a race of its own
 * --rounds   turns that each system takes
 * --json     writes [{ workload, system, engine, threads, firstCallMs, medianMs, spread, check }, …]
 * --docs     writes the page; with --from it is made from what a run has saved, and nothing is run
 *
 * Peers in Python run when `bench/race/peers.sh` has installed them; a system that is missing is left out, with the reason. Answers are
 * compared before times are printed. Systems take turns, round by round, each in a process of its own.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundleSize } from "./race/bundle.ts";
import { coldStarts } from "./race/cold-start.ts";
import { bestOf, COSTS, floorMs, measureMachine } from "./race/floor.ts";
import { writeInputs } from "./race/inputs.ts";
import { contestants, type Process, start } from "./race/process.ts";
import { markdown, type Row, remarksOf, restored, saved, show, showGoals } from "./race/table.ts";
import { agrees, WORKLOADS } from "./race/workloads.ts";
import { median } from "./statistics.ts";

function given() {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      options: {
        ...{ only: text, systems: text, json: text, docs: text, from: text },
        threads: { ...text, default: "1" },
        rounds: { ...text, default: "5" },
      },
    }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\nnpm run bench -- race --help tells the options`);
    return process.exit(1);
  }
}
const values = given();

if (values.from !== undefined) {
  if (values.docs === undefined) {
    console.error("--from names what a run has saved; --docs must name the page to write");
    process.exit(1);
  }
  const rows = restored(readFileSync(values.from, "utf8"));
  writeFileSync(values.docs, markdown(rows, WORKLOADS, statSync(values.from).mtime));
  process.exit(0);
}

const list = (given: string | undefined): readonly string[] | undefined => given?.split(",");
const only = list(values.only);
/** Workloads that are no loop of calls. */
const SPECIAL_WORKLOADS = ["cold-start", "bundle"] as const;
const known = [...WORKLOADS.map((w) => w.name), ...SPECIAL_WORKLOADS];
const wanted = (name: string) => only?.includes(name) ?? true;
for (const name of only ?? []) {
  if (!known.includes(name)) {
    console.error(`no workload "${name}"; there are ${known.join(", ")}`);
    process.exit(1);
  }
}
const rounds = Number(values.rounds);
const folder = mkdtempSync(join(tmpdir(), "race-"));
const rows: Row[] = [];

try {
  writeInputs(folder);
  let machine = await measureMachine();
  console.log(
    `this machine, one thread: ${(machine.flops / 1e9).toFixed(0)} GFLOP/s in a product, ${(machine.bytes / 1e9).toFixed(0)} GB/s in a copy`,
  );
  for (const workload of WORKLOADS.filter(({ name }) => wanted(name))) {
    console.log(`\n${workload.name}: ${workload.what}`);
    // Again and again: what else runs on the machine must not pass for its limit.
    machine = bestOf(machine, await measureMachine());
    for (const threads of (list(values.threads) ?? ["1"]).map(Number)) {
      const names = contestants(workload.systems).filter((s) => list(values.systems)?.includes(s) ?? true);
      const running: { readonly system: string; readonly process: Process; readonly times: number[]; row: Row }[] = [];
      let truth: { readonly [name: string]: number } | undefined;
      for (const system of names) {
        const child = start(system, folder, threads);
        const first = await child.ask({ do: "prepare", workload: workload.name });
        const cost = COSTS[workload.name];
        const base = {
          workload: workload.name,
          system,
          engine: first.version ?? system,
          threads,
          ...(cost !== undefined && { floorMs: floorMs(cost, machine) / threads }),
        };
        if (first.error !== undefined || first.check === undefined) {
          child.end();
          rows.push({ ...base, error: first.error ?? "no answer" });
          console.log(`  ${system}: ${first.error ?? "no answer"}`);
          continue;
        }
        truth ??= first.check;
        const check = agrees(truth, first.check, workload.tolerance);
        running.push({
          system,
          process: child,
          times: [],
          row: { ...base, firstCallMs: first.firstCallMs as number, check },
        });
      }
      for (let round = 0; round < (workload.rounds ?? rounds); round++) {
        for (const runner of running) {
          if (runner.row.error !== undefined) continue;
          const { ms, peakMiB, error } = await runner.process.ask({ do: "time" });
          if (error !== undefined || typeof ms !== "number" || !Number.isFinite(ms))
            runner.row = { ...runner.row, error: error ?? "no time" };
          else runner.times.push(ms);
          if (peakMiB !== undefined) runner.row = { ...runner.row, peakMiB };
        }
      }
      for (const { process: child, times, row } of running) {
        child.end();
        const sorted = [...times].sort((a, b) => a - b);
        rows.push(
          times.length === 0
            ? row
            : {
                ...row,
                medianMs: median(times),
                spread: [sorted[0] as number, sorted[sorted.length - 1] as number],
              },
        );
      }
      const mine = rows.filter((r) => r.workload === workload.name && r.threads === threads);
      console.log([show(mine), ...remarksOf(workload, mine).map((remark) => `  ${remark}`)].join("\n"));
    }
  }
  for (const [i, row] of rows.entries()) {
    const cost = COSTS[row.workload];
    if (cost !== undefined) rows[i] = { ...row, floorMs: floorMs(cost, machine) / row.threads };
  }
  if (wanted("cold-start")) {
    console.log("\ncold-start: from the start of a process to the first posterior mean");
    const starts = coldStarts(rounds);
    rows.push(...starts);
    for (const task of new Set(starts.map((r) => r.workload))) {
      console.log(`  ${task}\n${show(starts.filter((r) => r.workload === task))}`);
    }
  }
  if (wanted("bundle")) {
    const { minified, gzip, engineGzip } = await bundleSize();
    console.log(
      `\nbundle: ${minified.toFixed(0)} KiB minified, ${gzip.toFixed(0)} KiB gzip; the engine's WebAssembly ${engineGzip.toFixed(0)} KiB gzip`,
    );
    rows.push({
      workload: "bundle",
      system: "tilted-wasm",
      engine: "tilted (wasm)",
      threads: 1,
      gzipKiB: { script: gzip, engine: engineGzip },
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
  // Also of a run that breaks: what was measured is kept.
  if (values.json !== undefined) writeFileSync(values.json, saved(rows));
}
for (const threads of new Set(rows.map((r) => r.threads))) {
  const shown = showGoals(rows.filter((r) => r.threads === threads));
  if (shown !== "") console.log(`\ngoals, threads: ${threads}\n${shown}`);
}
if (values.docs !== undefined) writeFileSync(values.docs, markdown(rows, WORKLOADS));
