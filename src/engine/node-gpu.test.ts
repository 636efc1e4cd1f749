/** The loader of the optional GPU engine, against a stand-in for the package and against its real absence. */

import { availableParallelism } from "node:os";
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TiltedError } from "../core/errors.ts";
import { scope } from "../core/scope.ts";
import { ensureEngine, useEngine } from "./engine.ts";
import { withSuppressedLogs } from "./suppress-logs.ts";

/** What tfjs-node's module does when imported: registers gradients, kernels and a backend, and makes the latter active. */
function standIn({ gpu }: { readonly gpu: boolean }): () => Promise<unknown> {
  return async () => {
    tf.registerGradient({
      kernelName: "Exp",
      outputsToSave: [true],
      gradFunc: (dy, [y]) => ({ x: () => tf.mul(tf.mul(dy as tf.Tensor, y as tf.Tensor), 100) }),
    });
    tf.copyRegisteredKernels("cpu", "tensorflow");
    tf.registerBackend("tensorflow", () => Object.assign(new MathBackendCPU(), { isUsingGpuDevice: gpu }), 3);
    tf.setBackend("tensorflow");
    return tf;
  };
}

const failing = (error: Error & { code?: string }) => async () => {
  throw error;
};

async function refusal(load?: () => Promise<unknown>): Promise<TiltedError> {
  const error = await useEngine("node-gpu", load === undefined ? {} : { load }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TiltedError);
  expect((error as TiltedError).code).toBe("engine");
  expect(tf.getBackend()).toBe("wasm");
  return error as TiltedError;
}

beforeEach(async () => {
  await useEngine("wasm");
});

afterEach(async () => {
  await useEngine("wasm");
  if (tf.findBackendFactory("tensorflow") !== null) tf.removeBackend("tensorflow");
  for (const kernel of tf.getKernelsForBackend("tensorflow")) tf.unregisterKernel(kernel.kernelName, "tensorflow");
});

describe('useEngine("node-gpu")', () => {
  it("says what to install when the package is not there", async () => {
    const error = await refusal();
    expect(error.message).toContain("not installed: run `npm install @tensorflow/tfjs-node-gpu@4.22.0`");
    expect(error.cause).toBeDefined();
    expect((await ensureEngine()).name).toBe("wasm");
    expect(tf.tidy(() => tf.add(1, 1).dataSync()[0])).toBe(2);
  });

  it("says that the install script did not run when the addon is missing", async () => {
    const missing = new Error(
      "The Node.js native addon module (tfjs_binding.node) can not be found at path: lib/napi-v8/tfjs_binding.node.\nPlease run command ...",
    );
    const error = await refusal(failing(missing));
    expect(error.message).toContain("npm rebuild @tensorflow/tfjs-node-gpu");
    expect(error.message).toContain("install script was blocked");
    expect(error.cause).toBe(missing);
  });

  it("says which libraries it needs when the addon cannot be loaded", async () => {
    const unloadable = Object.assign(new Error("libcudart.so.11.0: cannot open shared object file"), {
      code: "ERR_DLOPEN_FAILED",
    });
    const error = await refusal(failing(unloadable));
    expect(error.message).toContain("CUDA 11.2");
    expect(error.message).toContain("libcudart.so.11.0");
  });

  it("fails when the package registers nothing, or another of its parts is missing", async () => {
    expect((await refusal(async () => ({}))).message).toContain('registered no "tensorflow" backend');
    const part = Object.assign(new Error("Cannot find module 'adm-zip'"), { code: "MODULE_NOT_FOUND" });
    expect((await refusal(failing(part))).message).toMatch(/failed to start on Node .*adm-zip/);
  });

  it("restores the engine before when an op fails", async () => {
    const broken = async () => {
      await standIn({ gpu: true })();
      tf.unregisterKernel("Add", "tensorflow");
      tf.registerKernel({
        kernelName: "Add",
        backendName: "tensorflow",
        kernelFunc: () => {
          throw new TypeError("util.isNullOrUndefined is not a function");
        },
      });
    };
    expect((await refusal(broken)).message).toMatch(/failed to start on Node .*isNullOrUndefined/);
    expect(
      scope(
        () =>
          tf
            .grad((x) => tf.exp(x))(tf.scalar(0))
            .dataSync()[0],
      ),
    ).toBe(1);
  });

  it("runs on the stand-in, with the repaired gradients, and moves tensors between engines", async () => {
    await withSuppressedLogs(async () => {
      const made = tf.tensor1d([1, 2]);
      const info = await useEngine("node-gpu", { load: standIn({ gpu: true }) });
      expect(info).toEqual({ name: "node-gpu", threads: 1, simd: true, gpu: true });
      expect(await ensureEngine()).toBe(info);
      expect(tf.getBackend()).toBe("tensorflow");
      expect([...tf.tidy(() => tf.square(made).dataSync())]).toEqual([1, 4]);
      const second = scope(
        () =>
          tf
            .grad((y) => tf.grad((x) => tf.mul(x, tf.exp(x)))(y))(tf.scalar(0))
            .dataSync()[0],
      );
      expect(second).toBeCloseTo(2, 6);
      await useEngine("wasm");
      expect([...tf.tidy(() => tf.add(made, 1).dataSync())]).toEqual([2, 3]);
      made.dispose();
    });
  });

  it("says in a note that no GPU is used", async () => {
    const { result } = await withSuppressedLogs(() => useEngine("node-gpu", { load: standIn({ gpu: false }) }));
    expect(result.gpu).toBe(false);
    expect(result.threads).toBe(availableParallelism());
    expect(result.note).toMatch(/the GPU is not used: .* runs on the CPU; it needs CUDA 11\.2/);
  });

  it("restores what Node took away before it loads", async () => {
    let isNullOrUndefined: unknown;
    await refusal(async () => {
      isNullOrUndefined = (process.getBuiltinModule("util") as unknown as Record<string, unknown>).isNullOrUndefined;
      expect(process.env.TF_CPP_MIN_LOG_LEVEL).toBe("1");
    });
    expect((isNullOrUndefined as (value: unknown) => boolean)(undefined)).toBe(true);
    expect((isNullOrUndefined as (value: unknown) => boolean)(0)).toBe(false);
    expect((process.getBuiltinModule("util") as unknown as Record<string, unknown>).isArray).toBe(Array.isArray);
    expect(process.env.TF_CPP_MIN_LOG_LEVEL).toBeUndefined();
  });

  it("holds back tfjs's chatter, lets everything else through and leaves the console as it was", async () => {
    const seen: unknown[] = [];
    const warn = vi.spyOn(console, "warn").mockImplementation((message) => void seen.push(message));
    const mine = console.warn;
    await refusal(async () => {
      console.warn("\n============================\nHi, looks like you are running TensorFlow.js in Node.js. ...");
      console.warn("The kernel 'Abs' for backend 'cpu' is already registered");
      console.warn("a real warning");
    });
    expect(seen).toEqual(["a real warning"]);
    expect(console.warn).toBe(mine);
    warn.mockRestore();
  });

  it("refuses an engine that is none", async () => {
    const error = await useEngine("cpu" as "wasm").catch((thrown: unknown) => thrown);
    expect((error as TiltedError).code).toBe("argument");
    expect((error as TiltedError).message).toContain('unknown engine "cpu"');
  });
});
