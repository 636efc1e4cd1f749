/** From the start of a process to the first posterior mean: each system in its own program, imports and all. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../statistics.ts";
import { buildPackage } from "./build.ts";
import { peersFolder } from "./process.ts";
import type { Row } from "./table.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Posterior means, and how far an estimate from 1000 particles may be off. */
const TASKS = { coin: { truth: 9 / 14, tolerance: 0.05 }, tilt: { truth: 0.5, tolerance: 0.3 } } as const;

type Task = keyof typeof TASKS;

function commands(task: Task): { readonly [system: string]: readonly [string, ...string[]] } {
  const python = join(peersFolder(), "bin", "python");
  const webppl = join(peersFolder(), "node", "node_modules", "webppl", "webppl");
  return {
    "tilted (wasm)": [process.execPath, here(`./cold/tilted-${task}.mjs`)],
    ...(existsSync(webppl) ? { WebPPL: [process.execPath, webppl, here(`./cold/${task}.wppl`)] } : {}),
    ...(existsSync(python)
      ? {
          NumPyro: [python, here("./peers/cold.py"), "numpyro", task],
          Pyro: [python, here("./peers/cold.py"), "pyro", task],
        }
      : {}),
  };
}

/** Times every system, taking turns. */
export function coldStarts(rounds: number): Row[] {
  // Programs import the package by its name, as users do: the build.
  buildPackage();
  return (Object.keys(TASKS) as Task[]).flatMap((task) => {
    const { truth, tolerance } = TASKS[task];
    const runners = Object.entries(commands(task)).map(([system, command]) => ({
      system,
      command,
      times: [] as number[],
      answer: Number.NaN,
    }));
    for (let round = 0; round < rounds; round++) {
      for (const runner of runners) {
        const start = performance.now();
        const { stdout } = spawnSync(runner.command[0], runner.command.slice(1), {
          encoding: "utf8",
          env: { ...process.env, JAX_PLATFORMS: "cpu", PYTHONDONTWRITEBYTECODE: "1" },
        });
        runner.times.push(performance.now() - start);
        runner.answer = Number(/-?\d+\.\d+(?:e-?\d+)?/.exec(stdout ?? "")?.[0] ?? Number.NaN);
      }
    }
    return runners.map(({ system, times, answer }): Row => {
      const sorted = [...times].sort((a, b) => a - b);
      const ok = Math.abs(answer - truth) <= tolerance;
      return {
        workload: `cold-start ${task}`,
        system: system.startsWith("tilted") ? "tilted-wasm" : system.toLowerCase(),
        engine: system,
        threads: 1,
        medianMs: median(times),
        spread: [sorted[0] as number, sorted[sorted.length - 1] as number],
        check: {
          ok,
          answers: { mean: answer },
          worst: ok ? undefined : `mean ${answer} instead of ${truth.toFixed(3)}`,
        },
      };
    });
  });
}
