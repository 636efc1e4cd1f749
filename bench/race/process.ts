/** Contestants as processes that answer JSON lines and idle between questions. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { System } from "./workloads.ts";

/** What a process answers. */
export interface Answer {
  readonly firstCallMs?: number;
  readonly check?: { readonly [name: string]: number };
  readonly version?: string;
  readonly ms?: number;
  readonly peakMiB?: number;
  readonly error?: string;
}

export interface Process {
  ask(question: { readonly do: "prepare" | "time"; readonly workload?: string }): Promise<Answer>;
  end(): void;
}

/** Seconds for an answer: what takes longer is reported as such and ended. */
const PATIENCE = { prepare: 240, time: 180 } as const;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Where `peers.sh` puts them, unless TILTED_PEERS says otherwise. */
export const peersFolder = (): string => process.env.TILTED_PEERS ?? join(homedir(), ".cache", "tilted-peers");

const python = (): string => join(peersFolder(), "bin", "python");

const IN_NODE: readonly System[] = ["tilted-wasm", "tilted-compiled", "tilted-node-gpu", "tfjs", "jax-js"];

/** Systems of a workload that can run here. */
export function contestants(systems: readonly System[]): readonly System[] {
  const peers = { node: existsSync(join(peersFolder(), "node", "node_modules")), python: existsSync(python()) };
  const absent = systems.filter((s) => (s === "jax-js" ? !peers.node : !IN_NODE.includes(s) && !peers.python));
  if (absent.length > 0) console.log(`  left out: ${absent.join(", ")} (bench/race/peers.sh installs them)`);
  // The addon of node-gpu is built by scripts/build-tfjs-node.sh: it runs for who has it.
  const there = (s: System) => !absent.includes(s) && (s !== "tilted-node-gpu" || Boolean(process.env.TILTED_NODE_GPU));
  return systems.filter(there);
}

/** Starts a contestant with so many threads for its arithmetic. */
export function start(system: string, folder: string, threads: number): Process {
  const loader = system === "tilted-node-gpu" ? ["--import", here("../../scripts/with-node-gpu.mjs")] : [];
  const [command, args] = IN_NODE.includes(system as System)
    ? [process.execPath, ["--import", "tsx", ...loader, here("./child.ts"), system, folder]]
    : [python(), [here("./peers/child.py"), system, folder]];
  // Everyone on as many cores as threads: a runtime that counts cores for itself then finds no others.
  const limited = existsSync("/usr/bin/taskset");
  const child = spawn(
    limited ? "taskset" : command,
    limited ? ["-c", threads === 1 ? "0" : `0-${threads - 1}`, command, ...args] : args,
    {
      stdio: ["pipe", "pipe", "ignore"],
      env: {
        ...process.env,
        RACE_THREADS: String(threads),
        OMP_NUM_THREADS: String(threads),
        MKL_NUM_THREADS: String(threads),
        OPENBLAS_NUM_THREADS: String(threads),
        JAX_PLATFORMS: "cpu",
        XLA_FLAGS: threads === 1 ? "--xla_cpu_multi_thread_eigen=false" : "",
        PYTHONDONTWRITEBYTECODE: "1",
      },
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  return {
    async ask(question) {
      const seconds = PATIENCE[question.do];
      let late = false;
      const clock = setTimeout(() => {
        late = true;
        child.kill("SIGKILL");
      }, 1000 * seconds);
      try {
        child.stdin.write(`${JSON.stringify(question)}\n`);
        for (;;) {
          const { value, done } = await lines.next();
          if (done) return { error: late ? `no answer in ${seconds} s` : "the process ended" };
          if (value.startsWith("{")) return JSON.parse(value) as Answer;
        }
      } finally {
        clearTimeout(clock);
      }
    },
    end: () => child.stdin.end(),
  };
}
