/**
 * Silence for tfjs's own chatter (banners, "already registered"), and for nothing else: a message that is not on the list
 * passes through, and the console is as it was once the work is done.
 */
import * as tf from "@tensorflow/tfjs-core";

/** What tfjs says in the ordinary course of things; each is said by console.warn or console.log. */
const CHATTER = [
  /is already registered/,
  /already registered\. Reusing existing/,
  /Platform .* has already been set/,
  /Hi, looks like you are running TensorFlow\.js/,
  /Initialization of backend .* failed/,
];

const isChatter = (args: readonly unknown[]): boolean =>
  typeof args[0] === "string" && CHATTER.some((pattern) => pattern.test(args[0] as string));

/** What tfjs printed while it was silenced: kept, so that a failure can quote it. */
export interface Quieted<T> {
  readonly result: T;
  readonly said: readonly string[];
}

/**
 * Runs `body` without tfjs's chatter.
 *
 * @param drop which further messages to hold back; by default none.
 */
export async function quietly<T>(
  body: () => Promise<T>,
  drop: (message: string) => boolean = () => false,
): Promise<Quieted<T>> {
  const said: string[] = [];
  // Emscripten keeps the console's methods that it finds at its start: what it prints later is not ours to hold back.
  let active = true;
  const { log, warn, error, info } = console;
  const held = { log, warn, error, info };
  const filter = (write: (...args: unknown[]) => void) => {
    return (...args: unknown[]) => {
      if (active && (isChatter(args) || drop(String(args[0])))) said.push(args.map(String).join(" "));
      else write.apply(console, args);
    };
  };
  const patched = { log: filter(log), warn: filter(warn), error: filter(error), info: filter(info) };
  Object.assign(console, patched);
  try {
    return { result: await body(), said };
  } finally {
    active = false;
    // Someone else may have replaced a method meanwhile: only our own is taken away.
    for (const name of ["log", "warn", "error", "info"] as const) {
      if (console[name] === patched[name]) console[name] = held[name];
    }
  }
}

/** Registers a kernel in place of whatever had its name; tfjs warns on the console if the old one is not taken out first. */
export function replaceKernel(config: tf.KernelConfig): void {
  if (tf.getKernel(config.kernelName, config.backendName) !== undefined) {
    tf.unregisterKernel(config.kernelName, config.backendName);
  }
  tf.registerKernel(config);
}

/** Registers a gradient in place of whatever had its name. */
export function replaceGradient(config: tf.GradConfig): void {
  if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName);
  tf.registerGradient(config);
}
