/**
 * Memory scopes. Tensors live only inside synchronous scopes; none survives a public call, also when it throws.
 *
 * tfjs keeps the tensors that an aborted gradient had saved for its backward pass, even inside `tf.tidy`: `scope` frees
 * them. Async loops await only between scopes and carry their state as typed arrays.
 */
import * as tf from "@tensorflow/tfjs-core";

interface EngineState {
  readonly activeScope: object | null;
  scopeStack: { track: tf.Tensor[] }[];
  gradientDepth: number;
  kernelDepth: number;
  /** `undefined` before the first gradient, `null` after one. */
  activeTape: { saved?: tf.Tensor[]; [key: string]: unknown }[] | null | undefined;
}

const engineState = (): EngineState => (tf.engine() as unknown as { state: EngineState }).state;

/**
 * Runs `body` and disposes every tensor made inside but those it returns (a tensor, or arrays and records of them).
 *
 * @remarks `body` must be synchronous. When it throws inside a gradient, the tape and what it had saved are disposed too.
 */
export function scope<T>(body: () => T): T {
  const state = engineState();
  const { gradientDepth, kernelDepth } = state;
  const depth = state.scopeStack.length;
  const tapeLength = state.activeTape?.length ?? 0;
  try {
    return tf.tidy(body as () => tf.TensorContainer) as T;
  } catch (error) {
    // Unwind what the throw left open: scopes, depth counters, and the tape's saved tensors (which tidy never sees).
    while (state.scopeStack.length > depth) tf.engine().endScope();
    state.gradientDepth = gradientDepth;
    state.kernelDepth = kernelDepth;
    const tape = state.activeTape;
    if (tape != null) {
      for (const node of tape.splice(gradientDepth === 0 ? 0 : tapeLength)) {
        for (const saved of node.saved ?? []) if (!saved.isDisposed) saved.dispose();
      }
      if (gradientDepth === 0) state.activeTape = null;
    }
    throw error;
  }
}
