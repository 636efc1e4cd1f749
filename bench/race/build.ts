/** The package as users get it, built from what is there now: an older build would be timed for this one. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

let built = false;

/** Builds it, once for each run of the race. */
export function buildPackage(): void {
  if (built) return;
  execFileSync("npm", ["run", "-s", "build"], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: "inherit",
  });
  built = true;
}
