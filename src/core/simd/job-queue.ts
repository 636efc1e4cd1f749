/**
 * The board on which work is written up for several threads, in memory that they share: slots, each for one job of numbered parts,
 * which threads take one after another. Also the program of a helper, which knows the board and nothing else.
 */

/** Slots of a board. */
export const SLOTS = 8;
/** Most parts of a job. */
export const MOST_PARTS = 1024;
/** Most loops that a part runs, and most arguments of one. */
export const [MOST_CALLS, MOST_ARGS] = [3, 7];

/** Words before the slots: how often work was written up, and how many helpers have come. */
export const [WRITTEN, HELPERS] = [0, 1];
/** Words of a slot: which part is next, how many there are, which module, how many loops; then a flag for each part that is done. */
export const [NEXT, PARTS, MODULE, CALLS, DONE] = [0, 1, 2, 3, 4];
const HEADER = 16;
const SLOT_WORDS = DONE + MOST_PARTS;
/** Numbers of a call: its loop, how many arguments, and for each its value for part 0 and what every further part adds. */
const CALL_NUMBERS = 2 + 2 * MOST_ARGS;
const SLOT_NUMBERS = MOST_CALLS * CALL_NUMBERS;

/** First word of a slot. */
export const slotWord = (slot: number): number => HEADER + slot * SLOT_WORDS;
/** All words, and after them the numbers. */
const WORDS = HEADER + SLOTS * SLOT_WORDS;
const NUMBERS_FROM = WORDS / 2;
/** First number of a call. */
export const callNumber = (slot: number, call: number): number =>
  NUMBERS_FROM + slot * SLOT_NUMBERS + call * CALL_NUMBERS;
/** Bytes of the board, from address 0. */
export const BOARD_BYTES = (NUMBERS_FROM + SLOTS * SLOT_NUMBERS) * 8;

/**
 * The next part stands in the low bits, a count of the jobs of the board in the others: a helper that has read one job and comes to
 * take a part when another is there finds that the word has changed.
 */
export const PART_BITS = 11;
export const PART_MASK = (1 << PART_BITS) - 1;
/** Looks at the board that a helper without work takes, some fifty microseconds, before it goes to sleep. */
const LOOKS = 2000;

/**
 * What a helper does; it is started from this text, since a package has no file that is sure to be found. Modules come through a port,
 * ahead of the first job that needs them. Jobs are taken in the order in which they were written up.
 */
export const HELPER = `
const { workerData, receiveMessageOnPort } = require("node:worker_threads");
const { memory, port } = workerData;
const words = new Int32Array(memory.buffer, 0, ${WORDS});
const numbers = new Float64Array(memory.buffer, 0, ${BOARD_BYTES / 8});
const modules = [];
function receive() {
  for (let next; (next = receiveMessageOnPort(port)); ) {
    const { module, names } = next.message;
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    modules.push(names.map((name) => exports[name]));
  }
}
function take() {
  let found = -1, seen = 0, oldest = Infinity;
  for (let slot = 0; slot < ${SLOTS}; slot++) {
    const at = ${HEADER} + slot * ${SLOT_WORDS};
    const next = Atomics.load(words, at + ${NEXT});
    const job = next >>> ${PART_BITS};
    if ((next & ${PART_MASK}) < Atomics.load(words, at + ${PARTS}) && job < oldest) [found, seen, oldest] = [slot, next, job];
  }
  if (found < 0) return false;
  const at = ${HEADER} + found * ${SLOT_WORDS};
  const part = seen & ${PART_MASK};
  const index = words[at + ${MODULE}];
  if (index >= modules.length) receive();
  const loops = modules[index];
  const calls = [];
  for (let call = 0; call < words[at + ${CALLS}]; call++) {
    const from = ${NUMBERS_FROM} + found * ${SLOT_NUMBERS} + call * ${CALL_NUMBERS};
    const args = [];
    for (let i = 0; i < numbers[from + 1]; i++) args.push(numbers[from + 2 + 2 * i] + part * numbers[from + 3 + 2 * i]);
    calls.push([numbers[from], args]);
  }
  // Only now is it certain that what was read belongs together.
  if (Atomics.compareExchange(words, at + ${NEXT}, seen, seen + 1) !== seen) return true;
  for (const [name, args] of calls) loops[name](...args);
  Atomics.store(words, at + ${DONE} + part, 1);
  return true;
}
receive();
Atomics.add(words, ${HELPERS}, 1);
for (;;) {
  const written = Atomics.load(words, ${WRITTEN});
  if (take()) continue;
  let looks = 0;
  while (looks < ${LOOKS} && Atomics.load(words, ${WRITTEN}) === written) looks++;
  if (looks === ${LOOKS}) Atomics.wait(words, ${WRITTEN}, written);
}
`;
