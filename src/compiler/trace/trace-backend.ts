/** The tfjs backend during a trace: symbolic data has no values, known data is in the engine underneath. */

import type { Shape } from "../../core/shape.ts";
import type { HostValues } from "../../core/tracing.ts";
import type { DType } from "../ir/node.ts";
import type { Refusals } from "./refusals.ts";
import { type Backend, engine } from "./with-backend.ts";

export interface TraceBackendOptions {
  /** The engine underneath. */
  readonly under: Backend;
  readonly refusals: Pick<Refusals, "read">;
  isSymbolic(id: object): boolean;
  /** Whether the trace is under way. */
  isOpen(): boolean;
  /** Called for a new tensor; gives the id of its data. */
  write(values: HostValues, shape: Shape, dtype: DType): object;
}

export interface TraceBackend extends Backend {
  numDataIds(): number;
  read(id: object): Promise<never>;
  /** Values of known data, in whichever backend. */
  valuesOf(id: object): HostValues | Uint8Array;
}

export function createTraceBackend({ under, refusals, isSymbolic, isOpen, write }: TraceBackendOptions): TraceBackend {
  const backend: TraceBackend = {
    write: (values, shape, dtype) => write(values as HostValues, shape, dtype as DType),
    readSync: (id) => (isSymbolic(id) ? refusals.read() : backend.valuesOf(id)),
    // `data()` need not be awaited: the trace fails for it, and a promise that nobody handles would end the process.
    async read(id) {
      try {
        return backend.readSync(id) as never;
      } catch (error) {
        if (!isOpen()) throw error;
        return new Promise<never>(() => undefined);
      }
    },
    valuesOf(id) {
      const { backend: owner } = engine().state.tensorInfo.get(id) ?? {};
      return (owner === undefined || owner === backend ? under : owner).readSync(id);
    },
    disposeData: (id) => isSymbolic(id) || under.disposeData(id),
    incRef(id) {
      if (!isSymbolic(id)) under.incRef(id);
    },
    refCount: (id) => (isSymbolic(id) ? 1 : under.refCount(id)),
    numDataIds: () => 0,
    memory: () => ({ unreliable: true }),
    epsilon: () => under.epsilon(),
    floatPrecision: () => under.floatPrecision(),
  };
  return backend;
}
