/** What the race is to show: how many times longer another system may be expected to take, and how many it took. */
import type { Row } from "./table.ts";
import { WORKLOADS } from "./workloads.ts";

interface Goal {
  readonly workload: string;
  /** For people. */
  readonly against: string;
  /** Of these the fastest whose answer agrees. */
  readonly systems: readonly string[];
  /** Their time over the best of ours, at least. */
  readonly wanted: number;
}

const PEERS = ["jax-js", "torch", "pyro", "jax", "numpyro", "blackjax"];
const against = (workload: string, name: string, systems: readonly string[], wanted: number): Goal => ({
  workload,
  against: name,
  systems,
  wanted,
});

const GOALS: readonly Goal[] = [
  against("vae-step", "PyTorch", ["torch"], 2),
  against("vae-step", "JAX", ["jax", "numpyro"], 1.2),
  against("energy-step", "PyTorch", ["torch"], 2.5),
  against("energy-step", "JAX", ["jax"], 1),
  against("langevin", "PyTorch", ["torch"], 2.5),
  against("langevin", "JAX", ["jax", "blackjax"], 1.2),
  ...["snis", "snis-vae", "iwae-step", "notmiwae-step"].map((name) => against(name, "the best other", PEERS, 1)),
  ...["cold-start coin", "cold-start tilt"].map((name) => against(name, "NumPyro", ["numpyro"], 5)),
  ...WORKLOADS.filter(({ systems }) => systems.includes("tfjs")).map(({ name }) =>
    against(name, "plain tfjs", ["tfjs"], 10),
  ),
];

/** A goal beside what was found. */
export interface Outcome {
  readonly workload: string;
  readonly against: string;
  readonly wanted: number;
  readonly found: number;
  readonly met: boolean;
}

const fastest = (rows: readonly Row[]): number =>
  Math.min(
    ...rows
      .filter((r) => r.error === undefined && r.check?.ok === true)
      .map((r) => r.medianMs ?? Number.POSITIVE_INFINITY),
  );

/** Goals of which both sides have run, among rows of one number of threads. */
export function outcomes(rows: readonly Row[]): Outcome[] {
  return GOALS.flatMap(({ workload, against, systems, wanted }) => {
    const here = rows.filter((r) => r.workload === workload);
    const ours = fastest(here.filter((r) => r.system.startsWith("tilted")));
    const found = fastest(here.filter((r) => systems.includes(r.system.toLowerCase()))) / ours;
    return Number.isFinite(found) && found > 0 ? [{ workload, against, wanted, found, met: found >= wanted }] : [];
  });
}
