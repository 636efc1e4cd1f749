/** Draws with the process's pool, before and after a worker started: `pool-program.ts [alone|refused]`. Alone there is no shared memory; refused, no thread starts. */
const [, , how] = process.argv;
if (how === "alone") Reflect.deleteProperty(globalThis, "SharedArrayBuffer");
if (how === "refused") {
  Object.assign(process.getBuiltinModule("node:worker_threads"), {
    Worker: class {
      constructor() {
        throw new Error("no");
      }
    },
  });
}
const { rootKey } = await import("../../../src/core/key.ts");
const { normal } = await import("../../../src/core/random/draws.ts");
const { threadPool } = await import("../../../src/core/simd/thread-pool.ts");

const draw = () => new Int32Array(normal(rootKey(1), 8_000_000).buffer).reduce((hash, x) => (hash * 31 + x) | 0, 7);
const patience = performance.now() + 2000;
const hash = draw();
while (how === undefined && threadPool()?.hasWorkers() !== true && performance.now() < patience)
  await new Promise((resolve) => setTimeout(resolve, 5));
const again = draw();
console.log(JSON.stringify({ hash, again, hasWorkers: threadPool()?.hasWorkers() ?? false }));
