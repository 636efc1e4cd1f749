/** A program whose chains run in two threads, and which ends when it is done. */
import { infer, langevin, model, sample } from "tilted";
import { normal } from "tilted/dist";

const { engine } = await infer(
  model(function* () {
    yield* sample("x", normal(0, 1));
  }),
  langevin({ chains: 4, steps: 200, warmup: 0 }),
  { seed: 1, engine: "compiled", threads: 2 },
);
console.log(engine.compiled?.used ? engine.compiled.shards : engine.compiled?.reason, "shards");
