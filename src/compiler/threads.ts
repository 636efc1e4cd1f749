/** How many threads of this machine a program may use. */

/** More are rarely there for one program, and products of this size gain little from them. */
const MOST_THREADS = 4;

/** Threads that may run at once, at most so many. */
export const fewThreads = (): number => Math.min(MOST_THREADS, cores());

const cores = (): number => {
  const os =
    typeof process === "undefined" ? undefined : (process.getBuiltinModule?.("node:os") as typeof import("node:os"));
  return os?.availableParallelism() ?? 1;
};
