/** What the harness asks of a contestant: answers to compare, and times. */

/** A system running one workload. */
export interface Contestant {
  /** The first call, everything compiled on the way; its answers. */
  first(): Promise<{ readonly [name: string]: number }>;
  /** Milliseconds for one unit of work. */
  run(): Promise<number>;
}

/** How a stepped run tells of its steps. */
export interface Steps {
  readonly onProgress: (progress: {
    readonly step: number;
    readonly metrics?: { readonly [name: string]: number };
  }) => void;
}

/** Runs so many steps. */
export type Stepper = (steps: number, listen: Steps) => Promise<void>;

/** Options of {@link stepping}. */
export interface SteppingOptions {
  readonly checkSteps?: number;
  readonly timedSteps?: number;
  /** What to compare; default: the mean loss of the last five steps. */
  readonly check?: () => { readonly [name: string]: number };
}

/** A workload of equal steps: what comes before the first step counts for the first call only. */
export function stepping(run: Stepper, options: SteppingOptions = {}): Contestant {
  const { checkSteps = 20, timedSteps = 20 } = options;
  const losses: number[] = [];
  return {
    async first() {
      losses.length = 0;
      await run(checkSteps, { onProgress: ({ metrics }) => losses.push(metrics?.loss ?? Number.NaN) });
      return options.check?.() ?? { loss: losses.slice(-5).reduce((a, b) => a + b, 0) / 5 };
    },
    async run() {
      // Progress may come once for many steps.
      const seen: { readonly ms: number; readonly step: number }[] = [];
      await run(timedSteps, { onProgress: ({ step }) => seen.push({ ms: performance.now(), step }) });
      const [from, to] = [seen[0] as (typeof seen)[0], seen[seen.length - 1] as (typeof seen)[0]];
      return (to.ms - from.ms) / (to.step - from.step);
    },
  };
}

/** A workload that is one call. */
export function whole(call: () => Promise<{ readonly [name: string]: number }>): Contestant {
  return {
    first: call,
    async run() {
      const start = performance.now();
      await call();
      return performance.now() - start;
    },
  };
}
