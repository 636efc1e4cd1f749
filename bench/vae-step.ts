/**
 * One training step of a variational autoencoder (784-1024-512-256-2, batch 128, Adam), on plain tfjs-wasm and here.
 *
 * The two run in processes of their own (the repairs of this library are global to a process) and take turns.
 * `tsx bench/vae-step.ts [rounds]` prints the median and the fewest milliseconds of each, and their ratios.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { median } from "./statistics.ts";

/** A worker process that makes one step per line on its standard input and answers with the milliseconds it took. */
function worker(kind: "plain" | "tilted") {
  const file = fileURLToPath(new URL(`./vae-step/${kind}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", file], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async step(): Promise<{ readonly ms: number; readonly loss: number }> {
      child.stdin.write("step\n");
      for (;;) {
        const { value, done } = await answers.next();
        if (done) throw new Error(`the ${kind} worker ended early`);
        if (value.startsWith("{")) return JSON.parse(value);
      }
    },
    end: () => child.stdin.end(),
  };
}

/** Rounds that are not counted: both engines compile while they run. */
const WARM_UP = 5;
const rounds = Number(process.argv[2] ?? 11);
const [plain, tilted] = [worker("plain"), worker("tilted")];
const times: { plain: number[]; tilted: number[] } = { plain: [], tilted: [] };
for (let round = -WARM_UP; round < rounds; round++) {
  const [a, b] = [await plain.step(), await tilted.step()];
  if (Math.abs(a.loss - b.loss) > 1e-3 * Math.abs(a.loss)) throw new Error(`losses differ: ${a.loss}, ${b.loss}`);
  if (round < 0) continue;
  times.plain.push(a.ms);
  times.tilted.push(b.ms);
}
plain.end();
tilted.end();
const compare = (what: string, of: (xs: readonly number[]) => number) => {
  const [slow, fast] = [of(times.plain), of(times.tilted)];
  const ratio = `ratio ${(fast / slow).toFixed(3)} (1/${(slow / fast).toFixed(1)})`;
  console.log(`${what}: plain tfjs wasm ${slow.toFixed(1)} ms, tilted ${fast.toFixed(1)} ms, ${ratio}`);
};
console.log(`Node ${process.version}, ${rounds} steps of each, taking turns`);
compare("median", median);
// The fastest step is the one that nothing else on the machine disturbed.
compare("fastest", (xs) => Math.min(...xs));
