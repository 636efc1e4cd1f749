/**
 * Suppresses tfjs's routine log messages (banners, "already registered") and nothing else: a message that is not on the list passes
 * through, and the console is restored afterwards.
 */

/** Messages that tfjs logs in ordinary use, by console.warn or console.log. */
const ROUTINE_MESSAGES = [
  /is already registered/,
  /already registered\. Reusing existing/,
  /Platform .* has already been set/,
  /Hi, looks like you are running TensorFlow\.js/,
  /Initialization of backend .* failed/,
];

const isRoutine = (args: readonly unknown[]): boolean =>
  typeof args[0] === "string" && ROUTINE_MESSAGES.some((pattern) => pattern.test(args[0] as string));

/** A result, and the messages that were suppressed: an error can quote them. */
export interface SuppressedLogs<T> {
  readonly result: T;
  readonly messages: readonly string[];
}

/**
 * Runs `body` without tfjs's routine messages.
 *
 * @param drop which further messages to suppress; by default none.
 */
export async function withSuppressedLogs<T>(
  body: () => Promise<T>,
  drop: (message: string) => boolean = () => false,
): Promise<SuppressedLogs<T>> {
  const messages: string[] = [];
  // Emscripten keeps the console methods that it finds at its start; what it prints later must pass through.
  let active = true;
  const { log, warn, error, info } = console;
  const original = { log, warn, error, info };
  const filter = (write: (...args: unknown[]) => void) => {
    return (...args: unknown[]) => {
      if (active && (isRoutine(args) || drop(String(args[0])))) messages.push(args.map(String).join(" "));
      else write.apply(console, args);
    };
  };
  const patched = { log: filter(log), warn: filter(warn), error: filter(error), info: filter(info) };
  Object.assign(console, patched);
  try {
    return { result: await body(), messages };
  } finally {
    active = false;
    // Other code may have replaced a method meanwhile: only our own is restored.
    for (const name of ["log", "warn", "error", "info"] as const) {
      if (console[name] === patched[name]) console[name] = original[name];
    }
  }
}
