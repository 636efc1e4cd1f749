/**
 * What a thread of shards does, as the text that it is started from: a package has no file that is sure to be found.
 *
 * It never returns to its event loop: messages are fetched when it is notified. The runtime takes no shared memory, so the thread copies
 * between that and arrays of its own.
 */

/**
 * Words shared with a thread: requests so far, the last request that is done, the session to run or none, whether it failed, sessions
 * held, and iterations of the run.
 */
export const WORDS = { requests: 0, done: 1, session: 2, failed: 3, held: 4, steps: 5 } as const;
export const NO_SESSION = -1;

export const SHARD_THREAD_SOURCE = `
const { parentPort, workerData, receiveMessageOnPort } = require("node:worker_threads");
const { words, packages } = workerData;
const { Tensor } = require(packages.tensors);
const { binding, initOrt } = require(packages.native);
initOrt();
const sessions = new Map();
const tensorOf = ({ type, shape, array }) => new Tensor(type, array, shape);
const bound = (ports) => ports.map((port) => {
  const array = new port.shared.constructor(port.shared.length);
  array.set(port.shared);
  return { ...port, array };
});
const firstRows = ({ shape, shared, array, perStep, ...port }, steps) => {
  if (!perStep) return { ...port, shape, shared, array };
  const size = steps * (array.length / shape[0]);
  return { ...port, shape: [steps, ...shape.slice(1)], shared: shared.subarray(0, size), array: array.subarray(0, size) };
};
const byKey = (ports) => Object.fromEntries(ports.map((port) => [port.key, tensorOf(port)]));
const commands = {
  load({ id, model, options, inputs, outputs, fixed }) {
    const session = new binding.InferenceSession();
    session.loadModel(model.buffer, model.byteOffset, model.byteLength, options);
    sessions.set(id, { session, inputs: bound(inputs), outputs: bound(outputs), fixed: byKey(fixed), sized: new Map() });
  },
  release({ id }) {
    const held = sessions.get(id);
    sessions.delete(id);
    if (held) held.session.dispose();
  },
};
function sizedFor({ inputs, outputs, fixed, sized }, steps) {
  const known = sized.get(steps);
  if (known) return known;
  const [ins, outs] = [inputs, outputs].map((ports) => ports.map((port) => firstRows(port, steps)));
  const made = { ins, outs, feeds: { ...byKey(ins), ...fixed }, fetches: byKey(outs) };
  sized.set(steps, made);
  return made;
}
function run(id, steps) {
  const held = sessions.get(id);
  const { session } = held;
  const { ins, outs, feeds, fetches } = sizedFor(held, steps);
  for (const { array, shared } of ins) array.set(shared);
  session.run(feeds, fetches, {});
  for (const { array, shared } of outs) shared.set(array);
}
function execute({ command, ...what }) {
  let error;
  try {
    commands[command](what);
  } catch (cause) {
    error = String(cause && cause.message ? cause.message : cause);
  }
  Atomics.store(words, ${WORDS.held}, sessions.size);
  parentPort.postMessage({ id: what.id, error });
}
for (let seen = 0; ; ) {
  Atomics.wait(words, ${WORDS.requests}, seen);
  seen = Atomics.load(words, ${WORDS.requests});
  for (let post; (post = receiveMessageOnPort(parentPort)); ) execute(post.message);
  const id = Atomics.exchange(words, ${WORDS.session}, ${NO_SESSION});
  if (id !== ${NO_SESSION}) {
    let failed = 0;
    try {
      run(id, Atomics.load(words, ${WORDS.steps}));
    } catch {
      failed = 1;
    }
    Atomics.store(words, ${WORDS.failed}, failed);
  }
  Atomics.store(words, ${WORDS.done}, seen);
  Atomics.notify(words, ${WORDS.done});
}
`;
