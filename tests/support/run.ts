/** Runs a TypeScript program as a user would, in a process of its own. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `tsx file ...args` from the root of the package. */
export const runTs = (file: string, args: readonly string[] = []): Promise<Run> =>
  runNode(["--import", "tsx", file, ...args]);

/** `node ...args` from the root of the package, or from another folder. */
export const runNode = (args: readonly string[], cwd = root): Promise<Run> =>
  new Promise((resolve) => {
    execFile(process.execPath, [...args], { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr });
    });
  });
