/**
 * Weights of many draws, made in parts by a pool and kept until others come: sums over them are taken more than once, and an
 * exponential takes longer than to read it.
 */
import type { JobSlot, LinkedModule } from "../../core/simd/job-slot.ts";
import { type ThreadPool, threadPool } from "../../core/simd/thread-pool.ts";
import { CHUNK, LANES, SUM_BYTES, WEIGHT_LOOPS } from "./weight-kernels.ts";
import { type Machine, machineIn, SCRATCH_BYTES, turnsOf } from "./weight-machine.ts";

/** Fewest and most log-weights that are kept. */
const [FEWEST, MOST] = [1 << 15, 1 << 20];
const [FLOAT, DOUBLE] = [4, 8];

/** Most draws whose log-weights are compared at once. */
export const PIECE = 1 << 16;

/** Weights e^{l − max}, all there or on their way, until others are kept. */
export interface WeightCache {
  readonly n: number;
  readonly max: number;
  readonly machine: Machine;
  /** Waits for weights `from` to before `to`, from the beginning of a part; undefined when others are kept by now. */
  between(from: number, to: number): KeptPart | undefined;
  /** The same for those draws from `at` on whose log-weights are, bit for bit, the given ones. */
  same(logWeights: ArrayLike<number>, at: number): KeptPart | undefined;
  /** Log-weights of draws about which one at least is not below the cut, in order; undefined when others are kept by now. */
  above(cut: number): Float32Array | undefined;
  /** Copies values of a {@link KeptPart}, draw by draw, to where the loops find them; returns the address. */
  place(values: Float32Array): number;
}

/** Some parts of the weights, one after another. */
export interface KeptPart {
  /** Where they lie. */
  readonly address: number;
  readonly weights: Float64Array;
  /** Of each part Σw and Σw², each in two halves. */
  readonly sums: Float64Array;
}

/** Where things lie in the memory of a pool. */
interface Room {
  readonly pool: ThreadPool;
  readonly slot: JobSlot;
  readonly loops: LinkedModule;
  readonly scratch: number;
  /** Log-weights and values of a piece. */
  readonly piece: number;
  readonly values: number;
  readonly logs: number;
  /** Log-weights that were picked out. */
  readonly picked: number;
  readonly weights: number;
  readonly sums: number;
  machine: Machine;
  kept: WeightCache | undefined;
}

let room: Room | undefined;
/** The pool that has been asked for room. */
let asked: ThreadPool | undefined;

function roomIn(pool: ThreadPool): Room | undefined {
  const slot = pool.acquireSlot();
  if (slot === undefined) return undefined;
  const loops = pool.link(WEIGHT_LOOPS);
  const scratch = pool.allocate(SCRATCH_BYTES);
  const [piece, values] = [pool.allocate(PIECE * FLOAT), pool.allocate(PIECE * FLOAT)];
  const [logs, picked, weights] = [MOST * FLOAT, MOST * FLOAT, MOST * DOUBLE].map(pool.allocate) as [
    number,
    number,
    number,
  ];
  const sums = pool.allocate((MOST / CHUNK) * SUM_BYTES);
  const machine = machineIn(pool.memory.buffer, scratch, loops.run);
  return { pool, slot, loops, scratch, piece, values, logs, picked, weights, sums, machine, kept: undefined };
}

function roomOf(): Room | undefined {
  const now = threadPool();
  if (now !== asked) {
    asked = now;
    room = undefined;
    try {
      room = now && roomIn(now);
    } catch {
      // No memory: weights are made part by part, and not kept.
    }
  }
  return room && refreshed(room);
}

/** Memory that is not shared moves when it grows. */
function refreshed(here: Room): Room {
  const { buffer } = here.pool.memory;
  if (here.machine.sums.buffer !== buffer) here.machine = machineIn(buffer, here.scratch, here.loops.run);
  return here;
}

const floatsAt = (here: Room, address: number, length: number): Float32Array =>
  new Float32Array(here.machine.sums.buffer, address, length);

/** The largest of the log-weights in the room. */
function largestIn(here: Room, turns: number): number {
  const { at, run } = here.machine;
  run.most?.(turns, here.logs, at.sums);
  return floatsAt(here, at.sums, LANES).reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY);
}

/**
 * Copies log-weights to the room and writes up the work on them.
 *
 * @returns undefined where they are few, or too many.
 */
export function keepWeights(logWeights: ArrayLike<number>, wantedMax?: number): WeightCache | undefined {
  const n = logWeights.length;
  if (!(logWeights instanceof Float32Array) || n < FEWEST || n > MOST) return undefined;
  const here = roomOf();
  if (here === undefined) return undefined;
  const { slot, loops, logs, weights, sums } = here;
  const count = Math.ceil(n / CHUNK);
  // Nobody reads what is about to be written over.
  slot.cancel();
  const to = floatsAt(here, logs, count * CHUNK);
  to.set(logWeights);
  to.fill(Number.NEGATIVE_INFINITY, n);
  const max = wantedMax ?? largestIn(here, turnsOf(n));
  slot.submit(
    loops,
    [
      {
        name: "sums32",
        args: [turnsOf(CHUNK), max, logs, weights, sums],
        strides: [0, 0, CHUNK * FLOAT, CHUNK * DOUBLE, SUM_BYTES],
      },
    ],
    count,
  );
  const kept = keptIn(here, n, max);
  here.kept = kept;
  return kept;
}

function keptIn(here: Room, n: number, max: number): WeightCache {
  const between = (from: number, to: number): KeptPart | undefined => {
    if (room !== here || here.kept !== kept || from % CHUNK !== 0) return undefined;
    const [first, end] = [from / CHUNK, Math.ceil(to / CHUNK)];
    here.slot.wait(end);
    const { buffer } = refreshed(here).machine.sums;
    const address = here.weights + from * DOUBLE;
    const sums = new Float64Array(buffer, here.sums + first * SUM_BYTES, ((end - first) * SUM_BYTES) / DOUBLE);
    return { address, weights: new Float64Array(buffer, address, to - from), sums };
  };
  const kept: WeightCache = {
    n,
    max,
    get machine() {
      return refreshed(here).machine;
    },
    between,
    same(given, at) {
      const size = given.length;
      // Sums are of whole parts.
      const whole = size % CHUNK === 0 ? at + size <= n : at + size === n;
      if (!(given instanceof Float32Array) || !whole || size === 0 || size > PIECE) return undefined;
      const found = between(at, at + size);
      if (found === undefined) return undefined;
      const { run, at: own, sums } = here.machine;
      const turns = turnsOf(size);
      const piece = floatsAt(here, here.piece, turns * LANES);
      piece.set(given);
      piece.fill(Number.NEGATIVE_INFINITY, size);
      run.unlike?.(turns, here.piece, here.logs + at * FLOAT, own.sums);
      return new Int32Array(sums.buffer, own.sums, 1)[0] === 0 ? found : undefined;
    },
    above(cut) {
      if (room !== here || here.kept !== kept || !(cut > Number.NEGATIVE_INFINITY)) return undefined;
      const { run, at, sums } = refreshed(here).machine;
      run.above?.(turnsOf(n), cut, here.logs, here.picked, at.sums);
      const [bytes] = new Int32Array(sums.buffer, at.sums, 1) as unknown as readonly [number];
      return floatsAt(here, here.picked, bytes / FLOAT);
    },
    place(values) {
      floatsAt(here, here.values, values.length).set(values);
      return here.values;
    },
  };
  return kept;
}

/** The weights of these log-weights if they are likely to be those that are kept, else made anew; ask for the `same`. */
export function keptWeights(logWeights: ArrayLike<number>, max: number): WeightCache | undefined {
  const kept = room !== undefined && room === roomOf() ? room.kept : undefined;
  return kept?.n === logWeights.length && kept.max === max ? kept : keepWeights(logWeights, max);
}
