"""One contestant in Python: answers JSON lines. `child.py SYSTEM FOLDER`, SYSTEM one of torch, jax, pyro, numpyro, blackjax."""
import importlib
import json
import os
import sys
import time

import numpy as np

system, folder = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.dirname(__file__))


def inputs(workload):
    path = os.path.join(folder, workload)
    if not os.path.exists(path + ".json"):
        return {}
    flat = np.fromfile(path + ".f32", dtype=np.float32)
    out = {}
    for entry in json.load(open(path + ".json")):
        count = int(np.prod(entry["shape"])) if entry["shape"] else 1
        out[entry["name"]] = flat[entry["offset"]: entry["offset"] + count].reshape(entry["shape"])
    return out


def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return None


TURN_S = 0.3


def answer(value):
    print(json.dumps(value), flush=True)


contestant = None
for line in sys.stdin:
    command = json.loads(line)
    try:
        if command["do"] == "prepare":
            module = importlib.import_module("with_" + system)
            make = module.WORKLOADS.get(command["workload"])
            if make is None:
                answer({"error": "not a workload of " + system})
                continue
            start = time.perf_counter()
            contestant = make(inputs(command["workload"]))
            check = contestant["first"]()
            answer({"firstCallMs": (time.perf_counter() - start) * 1e3, "check": check, "version": module.VERSION})
        elif command["do"] == "time":
            # As in child.ts: the median of the calls of one turn.
            begin, times = time.perf_counter(), []
            while not times or time.perf_counter() - begin < TURN_S:
                start = time.perf_counter()
                units = contestant["run"]()
                times.append((time.perf_counter() - start) * 1e3 / units)
            answer({"ms": sorted(times)[len(times) // 2], "peakMiB": peak()})
    except Exception as error:  # the harness prints it beside the system
        answer({"error": f"{type(error).__name__}: {error}"[:300]})
