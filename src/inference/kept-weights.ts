/**
 * Weights of many draws, made in parts by a crew and kept until others come: sums over them are taken more than once, and an
 * exponential takes longer than to read it.
 */
import { type Crew, crew, type Linked, type Slot } from "../core/wasm/crew.ts";
import { CHUNK, LANES, SUM_BYTES, WEIGHT_LOOPS } from "./weight-kernels.ts";
import { type Machine, machineIn, SCRATCH_BYTES, turnsOf } from "./weight-machine.ts";

/** Fewest and most log-weights that are kept. */
const [FEWEST, MOST] = [1 << 15, 1 << 20];
const [FLOAT, DOUBLE] = [4, 8];

/** A part of the weights. */
export interface KeptPart {
  /** Where it lies, for the loops of `machine`. */
  readonly weightsAt: number;
  readonly weights: Float64Array;
  /** Σw and Σw², each in two halves. */
  readonly sums: Float64Array;
  readonly machine: Machine;
}

/** Weights e^{l − max}, all there or on their way; undefined from the methods when others are kept by now. */
export interface KeptWeights {
  /** The part that begins at this place. */
  part(from: number): KeptPart | undefined;
  /** The weights of log-weights `from` to before `to`, if these are the same bits as those at `place`. */
  same(logWeights: ArrayLike<number>, from: number, to: number, place: number): KeptPart | undefined;
}

/** Where things lie in the memory of a crew. */
interface Room {
  readonly crew: Crew;
  readonly slot: Slot;
  readonly loops: Linked;
  readonly scratch: number;
  readonly logs: number;
  readonly weights: number;
  readonly sums: number;
  machine: Machine;
  /** What is kept now. */
  kept: { readonly n: number; readonly max: number } | undefined;
}

let room: Room | undefined;

function roomOf(): Room | undefined {
  const now = crew();
  if (now === undefined) return undefined;
  if (room?.crew !== now) {
    const slot = now.slot();
    if (slot === undefined) return undefined;
    const loops = now.link(WEIGHT_LOOPS);
    const scratch = now.reserve(SCRATCH_BYTES);
    const logs = now.reserve(MOST * FLOAT);
    const weights = now.reserve(MOST * DOUBLE);
    const sums = now.reserve((MOST / CHUNK) * SUM_BYTES);
    const machine = machineIn(now.memory.buffer, scratch, loops.run);
    room = { crew: now, slot, loops, scratch, logs, weights, sums, machine, kept: undefined };
  }
  // Memory that is not shared moves when it grows.
  const { buffer } = now.memory;
  if (room.machine.sums.buffer !== buffer) room.machine = machineIn(buffer, room.scratch, room.loops.run);
  return room;
}

/** Copies log-weights to the room and writes up the work on them. */
function begin(here: Room, logWeights: Float32Array, max: number): void {
  const { slot, loops, logs, weights, sums } = here;
  const n = logWeights.length;
  const count = Math.ceil(n / CHUNK);
  // Nobody reads what is about to be written over.
  slot.drop();
  const to = new Float32Array(here.machine.sums.buffer, logs, count * CHUNK);
  to.set(logWeights);
  to.fill(Number.NEGATIVE_INFINITY, n);
  slot.start(
    loops,
    [
      {
        name: "sums32",
        args: [turnsOf(CHUNK), max, logs, weights, sums],
        steps: [0, 0, CHUNK * FLOAT, CHUNK * DOUBLE, SUM_BYTES],
      },
    ],
    count,
  );
  here.kept = { n, max };
}

/**
 * The weights of these log-weights; undefined where they are few, or too many.
 *
 * @param anew - If not, those that are kept are taken for them where number and maximum agree: ask for the `same`.
 */
export function keptWeights(logWeights: ArrayLike<number>, max: number, anew: boolean): KeptWeights | undefined {
  const n = logWeights.length;
  if (!(logWeights instanceof Float32Array) || n < FEWEST || n > MOST) return undefined;
  const here = roomOf();
  if (here === undefined) return undefined;
  if (anew || here.kept?.n !== n || here.kept.max !== max) begin(here, logWeights, max);
  const { kept, slot } = here;
  const part = (from: number): KeptPart | undefined => {
    if (room !== here || here.kept !== kept || from % CHUNK !== 0) return undefined;
    const index = from / CHUNK;
    slot.finish(index + 1);
    const { machine, weights, sums } = here;
    const { buffer } = machine.sums;
    const weightsAt = weights + from * DOUBLE;
    return {
      machine,
      weightsAt,
      weights: new Float64Array(buffer, weightsAt, CHUNK),
      sums: new Float64Array(buffer, sums + index * SUM_BYTES, SUM_BYTES / DOUBLE),
    };
  };
  return {
    part,
    same(given, from, to, place) {
      const whole = to - from === Math.min(CHUNK, n - place);
      const found = given instanceof Float32Array && whole ? part(place) : undefined;
      if (found === undefined) return undefined;
      const { run, at, floats, sums } = found.machine;
      const turns = turnsOf(to - from);
      floats.set((given as Float32Array).subarray(from, to));
      floats.fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
      run.unlike?.(turns, at.logs, here.logs + place * FLOAT, at.sums);
      return new Int32Array(sums.buffer, at.sums, 1)[0] === 0 ? found : undefined;
    },
  };
}
