/** The workloads of the race, and how far two systems' answers may differ. */

/** Systems in the order in which they are shown; the first that runs is the reference for answers. */
export type System =
  | "tilted-wasm"
  | "tilted-compiled"
  | "tilted-node-gpu"
  | "tfjs"
  | "jax-js"
  | "torch"
  | "pyro"
  | "jax"
  | "numpyro"
  | "blackjax";

export interface Workload {
  readonly name: string;
  readonly what: string;
  /** What one time in the table is for. */
  readonly unit: string;
  readonly systems: readonly System[];
  /** Greatest relative difference of each answer: noise differs between systems. */
  readonly tolerance: { readonly [answer: string]: number };
  /** Fewer rounds for what takes long; more for one short call, which JavaScript's compiler has to see several times. */
  readonly rounds?: number;
  /** What is to be known of a system here: why its answer is another, or its time is of less work. */
  readonly remarks?: { readonly [S in System]?: string };
}

const OURS = ["tilted-wasm", "tilted-compiled", "tilted-node-gpu"] as const;

export const WORKLOADS: readonly Workload[] = [
  {
    name: "vae-step",
    what: "a VAE training step, 784-1024-512-256-2 and back, batch 128, Adam",
    unit: "step",
    systems: [...OURS, "tfjs", "jax-js", "torch", "pyro", "jax", "numpyro"],
    tolerance: { loss: 0.02 },
  },
  {
    name: "energy-step",
    what: "an energy training step, 2-256-128-1, gradient penalty by double back-propagation, Adam",
    unit: "step",
    systems: [...OURS, "tfjs", "jax-js", "torch", "jax"],
    tolerance: { loss: 0.002 },
    remarks: {
      "jax-js":
        "its WebAssembly backend has a fault in second derivatives: on its cpu backend the same program has the gradient that " +
        "difference quotients have, on its wasm backend another (bench/race/peers/jax-js-check.mjs)",
    },
  },
  {
    name: "langevin",
    what: "unadjusted Langevin dynamics of 1000 chains in a 2-D tilt by a network, 1000 steps",
    unit: "step",
    systems: [...OURS, "tfjs", "jax-js", "torch", "jax", "blackjax"],
    tolerance: { square: 0.15 },
  },
  {
    name: "snis",
    what: "self-normalised importance sampling, 10⁶ particles of a 2-D Gaussian tilt",
    unit: "run",
    systems: [...OURS, "tfjs", "jax-js", "torch", "jax"],
    tolerance: { logZ: 0.01, ess: 0.01, square: 0.01 },
    rounds: 21,
  },
  {
    name: "snis-vae",
    what: "importance-sampled evidence of a VAE, 10⁴ particles for each of 128 digits",
    unit: "run",
    systems: [...OURS, "tfjs", "torch", "jax"],
    tolerance: { logEvidence: 0.01 },
    rounds: 1,
    remarks: { tfjs: "a twentieth of the particles, its time taken twenty times" },
  },
  {
    name: "iwae-step",
    what: "a step of the importance-weighted bound, K = 50, 784-200-200-50 and back, batch 20, Adam",
    unit: "step",
    systems: [...OURS, "tfjs", "torch", "jax"],
    tolerance: { loss: 0.02 },
  },
  {
    name: "notmiwae-step",
    what: "a step of not-MIWAE on data of white wine's shape, K = 20, 11-128-128-10 and back, batch 16, Adam",
    unit: "step",
    systems: [...OURS, "tfjs", "torch", "jax"],
    tolerance: { loss: 0.05 },
  },
  {
    name: "mala-gaussian",
    what: "MALA, 64 chains in a 100-D Gaussian, 1000 steps",
    unit: "step",
    systems: [...OURS, "tfjs", "torch", "jax", "numpyro", "blackjax"],
    tolerance: { acceptance: 0.03, square: 0.03 },
  },
  {
    name: "mala-logistic",
    what: "MALA, 64 chains, logistic regression of 1000 rows and 20 features, 500 steps",
    unit: "step",
    systems: [...OURS, "tfjs", "torch", "jax", "numpyro", "blackjax"],
    tolerance: { acceptance: 0.05, square: 0.1 },
  },
];

/** What was compared: the answers, or where they part. */
export interface Check {
  readonly ok: boolean;
  readonly answers: { readonly [name: string]: number };
  readonly worst: string | undefined;
}

/** Compares answers with those of the reference. */
export function agrees(
  truth: { readonly [name: string]: number },
  answers: { readonly [name: string]: number },
  tolerance: { readonly [name: string]: number },
): Check {
  const off = Object.entries(tolerance).flatMap(([name, most]) => {
    const [a, b] = [truth[name] ?? Number.NaN, answers[name] ?? Number.NaN];
    const difference = Math.abs(a - b) / Math.abs(a);
    return difference <= most ? [] : [`${name} ${b.toPrecision(4)} instead of ${a.toPrecision(4)}`];
  });
  return { ok: off.length === 0, answers, worst: off[0] };
}
