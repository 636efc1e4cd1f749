/** Turns of the event loop, which a long run gives up now and then so that timers, input and pictures get theirs. */

/**
 * One turn: what waits now is done when it is over.
 *
 * @remarks `setTimeout` would sleep besides: a millisecond in Node, four in a page.
 */
export const turn = (): Promise<void> =>
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

/** Longest time, in milliseconds, that a run keeps the event loop to itself between steps. */
const LONGEST_MS = 50;

/** To be awaited between steps: a turn of the event loop when the last one was long ago. Microtasks alone would starve it. */
export function yieldToEventLoop(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last <= LONGEST_MS) return undefined;
    return turn().then(() => {
      last = performance.now();
    });
  };
}
