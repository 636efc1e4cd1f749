import { afterEach, expect, it, onTestFinished, vi } from "vitest";

afterEach(() => {
  vi.resetModules();
  vi.doUnmock("onnxruntime-node");
  vi.doUnmock("onnxruntime-node/dist/binding.js");
  vi.doUnmock("onnxruntime-web");
});

const missing = (name: string) => {
  throw new Error(`Cannot find package '${name}'`);
};

it("says what to install when no runtime is there", async () => {
  for (const name of ["onnxruntime-node", "onnxruntime-web"]) vi.doMock(name, () => missing(name));
  const { findRuntime } = await import("./runtime.ts");
  for (const wanted of [undefined, "web"] as const)
    await expect(findRuntime(wanted)).rejects.toMatchObject({
      code: "engine",
      message: expect.stringMatching(
        /ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node.*npm install onnxruntime-web/,
      ),
    });
});

it("says that the native one was wanted, who may have the other", async () => {
  vi.doMock("onnxruntime-node", () => missing("onnxruntime-node"));
  const { findRuntime } = await import("./runtime.ts");
  await expect(findRuntime("node")).rejects.toMatchObject({
    code: "engine",
    message: expect.stringMatching(/"auto" compiles for it alone.*onnxruntime-web too.*npm install onnxruntime-node/),
  });
});

it("says where WebAssembly that is not found may be", async () => {
  const { findRuntime } = await import("./runtime.ts");
  const { setOnnxRuntime } = await import("../../engine/ort-module.ts");
  const lost = async () => Promise.reject(new Error("no available backend found. ERR: [wasm] not found"));
  setOnnxRuntime(async () => ({ InferenceSession: { create: lost }, Tensor: class {} }) as never);
  const { load } = await findRuntime("web");
  await expect(load(new Uint8Array(), { threads: 1 })).rejects.toThrow(
    /no available backend.*ort\.env\.wasm\.wasmPaths/,
  );
});

it("takes WebAssembly in Node when the native package is missing", async () => {
  vi.doMock("onnxruntime-node", () => missing("onnxruntime-node"));
  const { findRuntime } = await import("./runtime.ts");
  expect((await findRuntime()).name).toBe("web");
});

it("falls back to the public session when the binding has another shape", async () => {
  vi.doMock("onnxruntime-node/dist/binding.js", () => ({ default: {} }));
  const { createProgram } = await import("./session.ts");
  const { createBuilder } = await import("../primitives/builder.ts");
  const g = createBuilder();
  const y = g.unary("neg", g.input("x", [2]));
  const program = await createProgram(g.finish([{ name: "y", node: y }]), { runtime: "node" });
  onTestFinished(() => program.dispose());
  expect(program.synchronous).toBe(false);
  expect(Array.from((await program.runAsync({ x: Float32Array.of(1, 2) })).y!)).toEqual([-1, -2]);
});

it("takes the WebAssembly that a program brings, once, and tells of its failure", async () => {
  const { findRuntime } = await import("./runtime.ts");
  const { setOnnxRuntime } = await import("../../engine/ort-module.ts");
  const own = await import("onnxruntime-web/wasm");
  const bring = vi.fn(async () => own);
  setOnnxRuntime(bring);
  const found = await findRuntime("web");
  expect(await findRuntime("web")).toBe(found);
  expect(bring).toHaveBeenCalledTimes(1);
  expect(found.makeTensor("float32", Float32Array.of(1), [1])).toBeInstanceOf(own.Tensor);
  setOnnxRuntime(() => Promise.reject(new Error("the network is down")));
  await expect(findRuntime("web")).rejects.toThrow(/onnxruntime-web: the network is down/);
});
