/** Yielding to the event loop, so that timers, input and rendering go on during a long run. */

/**
 * Resolves in the next turn of the event loop, when the tasks that are queued now have run.
 *
 * @remarks Not by `setTimeout`, which waits a millisecond in Node and four in a page.
 */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(undefined);
    }
  });

/** Longest time between two yields, in milliseconds. */
const MAX_BUSY_MS = 50;

/** A function to be awaited between steps: it yields when the last yield was long ago. Awaiting microtasks alone would starve the loop. */
export function yieldToEventLoop(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last <= MAX_BUSY_MS) return undefined;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
}
