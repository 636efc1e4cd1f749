/**
 * Writes the graphs that workloads of the race compile to, as ONNX files that run.py takes: `npx tsx bench/gpu/graphs.ts FOLDER [NAME,…]`.
 *
 * The native runtime is asked by the library as ever; what it is given to load is written down on the way.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ensureEngine } from "tilted";
import { INPUTS } from "../race/inputs.ts";
import { PROGRAMS } from "../race/programs.ts";

/** The part of onnxruntime-node that is used. */
interface Session {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
}
interface Binding {
  binding: { readonly InferenceSession: new () => Session };
}

const [folder, names = "vae-step,energy-step,langevin,snis,snis-vae"] = process.argv.slice(2);
if (folder === undefined) {
  console.error("graphs.ts FOLDER [NAME,…]");
  process.exit(1);
}
mkdirSync(folder, { recursive: true });

const module = createRequire(import.meta.url)("onnxruntime-node/dist/binding.js") as Binding;
const { InferenceSession } = module.binding;
let written: Map<string, Uint8Array> = new Map();
let workload = "";
class Recording extends InferenceSession {
  constructor() {
    super();
    const load = this.loadModel.bind(this);
    // The method is a property of the object that the binding makes, and cannot be set.
    Object.defineProperty(this, "loadModel", {
      value: (buffer: ArrayBufferLike, offset: number, length: number, options: object) => {
        const model = new Uint8Array(buffer, offset, length).slice();
        written.set(`${workload}-${written.size}`, model);
        load(buffer, offset, length, options);
      },
    });
  }
}
module.binding = { ...module.binding, InferenceSession: Recording };

await ensureEngine();
for (const name of names.split(",")) {
  written = new Map();
  workload = name;
  const program = PROGRAMS[name];
  if (program === undefined) throw new Error(`no workload "${name}"`);
  await program(INPUTS[name]?.() ?? {}, "compiled").first();
  for (const [file, model] of written) {
    writeFileSync(join(folder, `${file}.onnx`), model);
    console.log(`${file}.onnx: ${(model.length / 1024).toFixed(0)} KiB`);
  }
}
process.exit(0);
