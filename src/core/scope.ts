/**
 * Memory scopes. Tensors live only inside synchronous scopes; none survives a public call, also when it throws.
 *
 * tfjs keeps the tensors that an aborted gradient had saved for its backward pass, even inside `tf.tidy`: `scope` frees
 * them. Async loops await only between scopes and carry their state as typed arrays.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "./errors.ts";

interface TapeNode {
  readonly saved?: tf.Tensor[];
  readonly outputs: (tf.Tensor & { readonly kept: boolean })[];
}

interface EngineState {
  scopeStack: { track: tf.Tensor[] }[];
  gradientDepth: number;
  kernelDepth: number;
  /** `undefined` before the first gradient, `null` after one. */
  activeTape: TapeNode[] | null | undefined;
}

const engineState = (): EngineState => (tf.engine() as unknown as { state: EngineState }).state;

/** Frees what an aborted gradient had kept for its way back: saved tensors, and copies whose op never came to save them. */
function disposeSaved(nodes: readonly TapeNode[]): void {
  for (const node of nodes) {
    for (const tensor of [...(node.saved ?? []), ...node.outputs.filter((output) => output.kept)]) {
      if (!tensor.isDisposed) tensor.dispose();
    }
  }
}

/**
 * Tensors in a value: itself, or inside arrays, maps and plain records. tfjs's own search visits every element of every typed
 * array as if it were a container, which takes longer than most scopes.
 */
function tensorsIn(value: unknown, found: tf.Tensor[] = [], seen = new Set<unknown>()): tf.Tensor[] {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || seen.has(value)) return found;
  seen.add(value);
  if (value instanceof tf.Tensor) found.push(value);
  else if (Array.isArray(value) || value instanceof Map || value instanceof Set) {
    for (const inner of value) tensorsIn(inner, found, seen);
  } else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      for (const inner of Object.values(value)) tensorsIn(inner, found, seen);
    }
  }
  return found;
}

/**
 * Runs `body` and disposes every tensor made inside but those it returns (a tensor, or arrays, maps and plain
 * records of them).
 *
 * @remarks `body` must be synchronous. When it throws inside a gradient, the tape and what it had saved are disposed too.
 * @throws `argument` when `body` returns a promise: its tensors would be gone before it resolves.
 */
export function scope<T>(body: () => T): T {
  const state = engineState();
  const { gradientDepth, kernelDepth, activeTape } = state;
  const depth = state.scopeStack.length;
  const tapeLength = activeTape?.length ?? 0;
  try {
    let result: T | undefined;
    tf.tidy(() => {
      result = body();
      if (result instanceof Promise) {
        result.catch(() => undefined);
        fail("argument", "scope: the body must not be async; await between scopes and carry the state as arrays");
      }
      return tensorsIn(result);
    });
    return result as T;
  } catch (error) {
    // Unwind what the throw left open: scopes, depth counters, and the tape's saved tensors (which tidy never sees).
    while (state.scopeStack.length > depth) tf.engine().endScope();
    state.gradientDepth = gradientDepth;
    state.kernelDepth = kernelDepth;
    const tape = state.activeTape;
    if (tape != null) {
      // A tape that was there before belongs to a gradient outside, which may go on: only what the body added is undone.
      disposeSaved(tape === activeTape ? tape.splice(tapeLength) : tape);
      if (tape !== activeTape) state.activeTape = activeTape ?? null;
    }
    throw error;
  }
}
