/**
 * The engine on which the tables run: wasm, or, when TILTED_NODE_GPU names the folder that scripts/build-tfjs-node.sh filled,
 * node-gpu with the package that was built there.
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { type EngineInfo, type EngineName, useEngine } from "../../src/engine/engine.ts";

const folder = process.env.TILTED_NODE_GPU;

export const TESTED_ENGINE: EngineName = folder ? "node-gpu" : "wasm";

/** Whether a row belongs to the tested engine: it does unless it names another. */
export const isTested = ({ engine = TESTED_ENGINE }: { readonly engine?: EngineName }): boolean =>
  engine === TESTED_ENGINE;

export function startTestedEngine(): Promise<EngineInfo> {
  if (!folder) return useEngine("wasm");
  const require = createRequire(join(resolve(folder), "package.json"));
  return useEngine("node-gpu", { load: async () => require("@tensorflow/tfjs-node-gpu") });
}
