/** What cannot be traced: errors that name the place and say what to write instead. */
import { fail } from "../../core/errors.ts";

/** Where the trace was when something was refused. */
export interface Place {
  /** What is being traced. */
  readonly what: string;
  /** The last site of the model that was traced. */
  readonly site: string | undefined;
}

/** Refuses, each time with an error of code `trace`. */
export interface Refusals {
  refuse(message: string): never;
  read(): never;
  draw(name: string): never;
  kernel(name: string): never;
  /** @throws The first refusal, also where the traced function caught it or did not await it: its trace would be incomplete. */
  check(): void;
}

export const textOfPlace = ({ what, site }: Place): string =>
  site === undefined ? what : `${what}, at or after site "${site}"`;

/** Refusals that remember the first. */
export function createRefusals(place: () => Place): Refusals {
  let first: unknown;
  const refuse = (message: string): never => {
    const { what, site } = place();
    try {
      return fail("trace", `${textOfPlace({ what, site })}: ${message}`, site === undefined ? {} : { site });
    } catch (error) {
      first ??= error;
      throw error;
    }
  };
  return {
    refuse,
    read: () =>
      refuse(
        "the value of a tensor is read (dataSync, data or arraySync) while the step is traced for compilation, but it has none yet. " +
          'Write the decision in ops (tf.where, tf.maximum), move the reading out of the step, or run with { engine: "wasm" }. ' +
          "Samplers of gamma, beta, Dirichlet, Student-t, Poisson, binomial and categorical laws read parameters that are learnt or drawn: such a step runs op by op",
      ),
    draw: (name) =>
      refuse(
        `${name} draws random numbers of its own, which would be the same in every run of the compiled step. Draw with sample(), or from a distribution and the key of the step`,
      ),
    kernel: (name) =>
      refuse(`the op ${name} cannot be compiled; write it in other ops, or run with { engine: "wasm" }`),
    check() {
      if (first !== undefined) throw first;
    },
  };
}
