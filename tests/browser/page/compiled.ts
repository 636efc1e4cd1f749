/** A page that brings ONNX Runtime: a fit and chains, compiled and op by op. */
import * as tf from "@tensorflow/tfjs-core";
import { elbo, infer, langevin, model, ndarray, sample, useEngine } from "tilted";
import { normal } from "tilted/dist";
import { vae } from "tilted/models";

/** What was found on each engine. */
export interface Compared {
  readonly refusal: string;
  readonly runtime: string | undefined;
  readonly losses: readonly (readonly number[])[];
  readonly chains: readonly (readonly number[])[];
}

const x = ndarray(
  Float32Array.from({ length: 64 * 16 }, (_, i) => (Math.sin(i * i) + 1) / 2),
  [64, 16],
);
const plane = model(function* () {
  return yield* sample("z", normal(tf.zeros([2]), 1).event(1));
});

async function compare(): Promise<Compared> {
  const learn = async (engine: "wasm" | "compiled") => {
    const net = vae({ features: 16, latent: 2, hidden: [8] });
    const options = { args: [x] as [typeof x], seed: 1, engine };
    return infer(net.model, elbo(net.guide, { steps: 20, stepsPerEpoch: 1 }), options);
  };
  const walk = async (engine: "wasm" | "compiled") => {
    const { sites } = await infer(plane, langevin({ chains: 4, steps: 20, warmup: 0, stepSize: 0.1 }), {
      seed: 2,
      engine,
    });
    return [...(sites.z.data as ArrayLike<number> & Iterable<number>)];
  };
  await useEngine("wasm", { wasmPaths: "/wasm/" });
  const refusal = await learn("compiled").then(
    () => "",
    (error: Error) => error.message,
  );
  await useEngine("wasm", {
    onnxruntime: async () => {
      const ort = await import("onnxruntime-web/wasm");
      ort.env.wasm.wasmPaths = "/ort/";
      return ort;
    },
  });
  const [compiled, plain] = [await learn("compiled"), await learn("wasm")];
  const info = compiled.engine.compiled;
  return {
    refusal,
    runtime: info?.used ? info.runtime : undefined,
    losses: [compiled.history.train, plain.history.train],
    chains: [await walk("compiled"), await walk("wasm")],
  };
}

const page = globalThis as unknown as { outcome: Promise<string> };
page.outcome = compare().then(
  (found) => JSON.stringify({ found }),
  (error: Error) => JSON.stringify({ error: `${error.stack ?? error}` }),
);
