/** One contestant in Node: `child.ts SYSTEM FOLDER` answers JSON lines, as `peers/child.py` does. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Contestant } from "./contestant.ts";
import type { Inputs } from "./inputs.ts";
import { peersFolder } from "./process.ts";

/** A peer that is loaded from outside of the tree. */
interface Peer {
  readonly version: string;
  readonly WORKLOADS: { readonly [workload: string]: (inputs: Inputs) => Contestant };
}

const [system = "", folder = ""] = process.argv.slice(2);

function readInputs(workload: string): Inputs {
  const index = join(folder, `${workload}.json`);
  if (!existsSync(index)) return {};
  const bytes = readFileSync(join(folder, `${workload}.f32`));
  const flat = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const entries = JSON.parse(readFileSync(index, "utf8")) as { name: string; shape: number[]; offset: number }[];
  return Object.fromEntries(
    entries.map(({ name, shape, offset }) => {
      const data = flat.slice(offset, offset + shape.reduce((a, b) => a * b, 1));
      return [name, { data, shape }];
    }),
  );
}

/** The most memory this process has had, in MiB, where the system tells. */
function peak(): number | undefined {
  if (!existsSync("/proc/self/status")) return undefined;
  const kib = /VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

async function make(workload: string): Promise<{ contestant: Contestant; version: string }> {
  const inputs = readInputs(workload);
  const none = () => {
    throw new Error(`not a workload of ${system}`);
  };
  if (system === "tfjs") {
    const { PLAIN, version } = await import("./plain.ts");
    return { contestant: await (PLAIN[workload] ?? none)(inputs), version };
  }
  if (system === "jax-js") {
    // JavaScript, because its types are not installed here.
    const path = new URL("./peers/jax-js.mjs", import.meta.url).href;
    const { load } = (await import(path)) as { readonly load: (folder: string) => Promise<Peer> };
    const { version, WORKLOADS } = await load(peersFolder());
    return { contestant: (WORKLOADS[workload] ?? none)(inputs), version };
  }
  const [{ PROGRAMS }, { ensureEngine, useEngine }] = [await import("./programs.ts"), await import("tilted")];
  const threads = Number(process.env.RACE_THREADS ?? "1");
  const engine = system === "tilted-compiled" ? "compiled" : system === "tilted-node-gpu" ? "node-gpu" : "wasm";
  if (engine === "node-gpu") {
    const { gpu } = await useEngine("node-gpu");
    return {
      contestant: (PROGRAMS[workload] ?? none)(inputs, engine),
      version: `tilted (node-gpu${gpu ? "" : ", on the CPU"})`,
    };
  }
  // Compiled programs have threads of their own, and so have the draws and weights of many particles of a small model; what is left for
  // tfjs is small, and waking its threads costs more than it gains.
  await (threads > 1 && engine === "wasm" && workload !== "snis" ? useEngine("wasm", { threads }) : ensureEngine());
  return { contestant: (PROGRAMS[workload] ?? none)(inputs, engine), version: `tilted (${engine})` };
}

/** A turn lasts so long at least: a call right after another process had the machine finds cold caches and given-back memory. */
const TURN_MS = 300;

/** Median of the calls of one turn. */
async function turn({ run }: Contestant): Promise<number> {
  const times: number[] = [];
  for (const start = performance.now(); performance.now() - start < TURN_MS || times.length === 0; )
    times.push(await run());
  return times.sort((a, b) => a - b)[times.length >> 1] as number;
}

let contestant: Contestant | undefined;
const answer = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as { do: string; workload: string };
  try {
    if (command.do === "prepare") {
      const start = performance.now();
      const made = await make(command.workload);
      contestant = made.contestant;
      const check = await contestant.first();
      answer({ firstCallMs: performance.now() - start, check, version: made.version });
    } else answer({ ms: await turn(contestant as Contestant), peakMiB: peak() });
  } catch (error) {
    answer({ error: String((error as Error).message ?? error).slice(0, 300) });
  }
}
process.exit(0);
