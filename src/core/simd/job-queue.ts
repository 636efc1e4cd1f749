/**
 * The layout of a job queue in shared memory, and the source of the worker that takes from it. The queue has slots, each for one job
 * of numbered parts; threads claim the parts one after another by an atomic compare-and-exchange.
 */

/** Slots of a queue: jobs that may be under way at once. */
export const MAX_JOBS = 8;
/** Most parts of a job. */
export const MAX_PARTS = 1024;
/** Most loops that a part runs, and most arguments of one. */
export const [MAX_CALLS, MAX_ARGS] = [3, 7];

/** Words before the slots: how many jobs were submitted, and how many workers have started. */
export const [SUBMITTED, WORKERS] = [0, 1];
/** Words of a slot: the next part, the number of parts, the module, the number of loops; then a flag for each part that is done. */
export const [NEXT, PARTS, MODULE, CALLS, DONE] = [0, 1, 2, 3, 4];
const HEADER = 16;
const SLOT_WORDS = DONE + MAX_PARTS;
/** Numbers of a call: its loop, how many arguments, and for each argument its value for part 0 and its stride from part to part. */
const CALL_NUMBERS = 2 + 2 * MAX_ARGS;
const SLOT_NUMBERS = MAX_CALLS * CALL_NUMBERS;

/** First word of a slot. */
export const slotWord = (slot: number): number => HEADER + slot * SLOT_WORDS;
/** All words, and after them the numbers. */
const WORDS = HEADER + MAX_JOBS * SLOT_WORDS;
const NUMBERS_FROM = WORDS / 2;
/** First number of a call. */
export const callNumber = (slot: number, call: number): number =>
  NUMBERS_FROM + slot * SLOT_NUMBERS + call * CALL_NUMBERS;
/** Bytes of the queue, from address 0. */
export const QUEUE_BYTES = (NUMBERS_FROM + MAX_JOBS * SLOT_NUMBERS) * 8;

/**
 * The word NEXT holds the next part in its low bits and the number of the job in the others. A worker that has read one job and
 * comes to claim a part when another has taken its slot finds the word changed, so the exchange fails (no ABA problem).
 */
export const PART_BITS = 11;
export const PART_MASK = (1 << PART_BITS) - 1;
/** Reads of the queue by an idle worker, some fifty microseconds, before it goes to sleep. */
const MAX_SPINS = 2000;

/**
 * The program of a worker. It is started from this text, since a package has no file whose address is known under every bundler.
 * Modules arrive through a port before the first job that needs them. Jobs are taken in the order of their submission.
 */
export const WORKER_SOURCE = `
const { workerData, receiveMessageOnPort } = require("node:worker_threads");
const { memory, port } = workerData;
const words = new Int32Array(memory.buffer, 0, ${WORDS});
const numbers = new Float64Array(memory.buffer, 0, ${QUEUE_BYTES / 8});
const modules = [];
function receiveModules() {
  for (let next; (next = receiveMessageOnPort(port)); ) {
    const { module, names } = next.message;
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    modules.push(names.map((name) => exports[name]));
  }
}
function runNextPart() {
  let found = -1, seen = 0, oldest = Infinity;
  for (let slot = 0; slot < ${MAX_JOBS}; slot++) {
    const at = ${HEADER} + slot * ${SLOT_WORDS};
    const next = Atomics.load(words, at + ${NEXT});
    const job = next >>> ${PART_BITS};
    if ((next & ${PART_MASK}) < Atomics.load(words, at + ${PARTS}) && job < oldest) [found, seen, oldest] = [slot, next, job];
  }
  if (found < 0) return false;
  const at = ${HEADER} + found * ${SLOT_WORDS};
  const part = seen & ${PART_MASK};
  const index = words[at + ${MODULE}];
  if (index >= modules.length) receiveModules();
  const loops = modules[index];
  const calls = [];
  for (let call = 0; call < words[at + ${CALLS}]; call++) {
    const from = ${NUMBERS_FROM} + found * ${SLOT_NUMBERS} + call * ${CALL_NUMBERS};
    const args = [];
    for (let i = 0; i < numbers[from + 1]; i++) args.push(numbers[from + 2 + 2 * i] + part * numbers[from + 3 + 2 * i]);
    calls.push([numbers[from], args]);
  }
  // The exchange succeeds only if the slot was not reused, so only now is what was read known to belong together.
  if (Atomics.compareExchange(words, at + ${NEXT}, seen, seen + 1) !== seen) return true;
  for (const [name, args] of calls) loops[name](...args);
  Atomics.store(words, at + ${DONE} + part, 1);
  return true;
}
receiveModules();
Atomics.add(words, ${WORKERS}, 1);
for (;;) {
  const submitted = Atomics.load(words, ${SUBMITTED});
  if (runNextPart()) continue;
  let spins = 0;
  while (spins < ${MAX_SPINS} && Atomics.load(words, ${SUBMITTED}) === submitted) spins++;
  if (spins === ${MAX_SPINS}) Atomics.wait(words, ${SUBMITTED}, submitted);
}
`;
