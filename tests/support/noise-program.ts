/** Chains whose noise a helper makes ahead, unless this process has no shared memory: `noise-program.ts [alone]`. */
if (process.argv[2] === "alone") Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
const { rootKey } = await import("../../src/core/key.ts");
const { normal: draws } = await import("../../src/core/random/draws.ts");
const { threadPool } = await import("../../src/core/simd/thread-pool.ts");
const [tf, { infer, langevin, model, sample }, { gamma, normal }] = [
  await import("@tensorflow/tfjs-core"),
  await import("tilted"),
  await import("tilted/dist"),
];

// Helpers come when there has been enough work.
for (let i = 0; i < 8; i++) draws(rootKey(i), 1 << 20);
const patience = performance.now() + 2000;
while (process.argv[2] !== "alone" && threadPool()?.hasWorkers() !== true && performance.now() < patience)
  await new Promise((resolve) => setTimeout(resolve, 5));

const program = model(function* () {
  const scale = yield* sample("scale", gamma(3, 2));
  yield* sample("z", normal(tf.zeros([40]), tf.expandDims(scale, -1)).event(1));
});
const chains = { chains: 33, steps: 600, stepSize: 0.01 } as const;
const runs = [
  langevin({ ...chains, warmup: 50 }),
  langevin({ ...chains, warmup: 50, adjusted: false, thin: 7 }),
] as const;
const hashes: number[] = [];
for (const method of runs) {
  const { sites, engine } = await infer(program, method, { seed: 1, engine: "compiled", threads: 1 });
  if (!(engine.compiled?.used && engine.compiled.stepsPerCall)) throw new Error("not in blocks");
  const words = [sites.scale, sites.z].flatMap(({ data }) => [...new Uint32Array(Float32Array.from(data).buffer)]);
  hashes.push(words.reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 7));
}
console.log(JSON.stringify({ hashes, helped: threadPool()?.hasWorkers() }));
