"""Compiled graphs on ONNX Runtime's CUDA provider: `run.py FOLDER [JSON]`.

FOLDER holds the models that graphs.ts has written. Each runs on the CPU and on the GPU, there with arrays of the host (copied in and out, as the
library would) and with arrays that stay on the device. Answers of both are compared before a time is printed. Needs onnxruntime-gpu.
"""
import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime as ort

TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}
STEP = 0.01
#: What an input of that name holds, by its shape: parameters of networks as they begin, noise as it is drawn.
SCALARS = {"in:eta": STEP, "in:spread": np.sqrt(2 * STEP), "in:ratio": np.sqrt(STEP / 2)}
#: Relative to the largest number of an output: products of a GPU are summed in another order.
TOLERANCE = 2e-3
ROUNDS, SECONDS = 5, 0.5


def value(rng, name, shape, dtype):
    if dtype is not np.float32:
        return np.ones(shape, dtype)
    if name in SCALARS:
        return np.full(shape, SCALARS[name], dtype)
    if "/bias" in name or "gradient" in name:
        return np.zeros(shape, dtype)
    scale = shape[0] ** -0.5 if "/weight" in name else 1
    return (scale * rng.standard_normal(shape)).astype(dtype)


def session(path, provider):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings = {"use_tf32": "0"} if provider == "CUDAExecutionProvider" else {}
    made = ort.InferenceSession(str(path), options, providers=[(provider, settings), "CPUExecutionProvider"])
    if made.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} did not load")
    return made


def timed(run):
    """Median over rounds of milliseconds a call."""
    for _ in range(3):
        run()
    rounds = []
    for _ in range(ROUNDS):
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS / ROUNDS or calls == 0:
            run()
            calls += 1
        rounds.append(1e3 * (time.perf_counter() - start) / calls)
    return float(np.median(rounds))


def outputs(model):
    """Names of the tensors that it gives; the output in front of them is for the binding of Node alone."""
    return [output.name for output in model.get_outputs() if output.type.startswith("tensor")]


def on_device(model, feeds):
    binding = model.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    for name in outputs(model):
        binding.bind_output(name, "cuda", 0)

    def run():
        model.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def distance(expected, found):
    worst = 0.0
    for a, b in zip(expected, found):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.isfinite(a).all() == np.isfinite(b).all()
        worst = max(worst, float(np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(a), initial=0), 1e-6)))
    return worst


def main():
    folder = pathlib.Path(sys.argv[1])
    rows = []
    for path in sorted(folder.glob("*.onnx")):
        rng = np.random.default_rng(1)
        row = {"graph": path.stem}
        try:
            cpu = session(path, "CPUExecutionProvider")
            feeds = {i.name: value(rng, i.name, [int(d) for d in i.shape], TYPES[i.type]) for i in cpu.get_inputs()}
            names = outputs(cpu)
            expected = cpu.run(names, feeds)
            gpu = session(path, "CUDAExecutionProvider")
            row["worst"] = distance(expected, gpu.run(names, feeds))
            row["agrees"] = row["worst"] <= TOLERANCE
            row["cpuMs"] = timed(lambda: cpu.run(names, feeds))
            row["gpuFromHostMs"] = timed(lambda: gpu.run(names, feeds))
            row["gpuMs"] = timed(on_device(gpu, feeds))
        except Exception as error:  # the others still count
            row["error"] = str(error)[:300]
        rows.append(row)
        print(row, flush=True)
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(rows, indent=2))


main()
