/** How many threads of this machine a program may use. */

/** Most threads of one program: products of this size gain little from more. */
const MAX_THREADS = 4;

/** Threads that can run at once, at most {@link MAX_THREADS}. */
export const availableThreads = (): number => Math.min(MAX_THREADS, cores());

const cores = (): number => {
  const os =
    typeof process === "undefined" ? undefined : (process.getBuiltinModule?.("node:os") as typeof import("node:os"));
  return os?.availableParallelism() ?? 1;
};
