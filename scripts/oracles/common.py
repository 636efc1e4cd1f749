"""Numbers of float32, points to look at, and how values are stored."""

import json
import math
import struct
from pathlib import Path

from mpmath import mp

mp.dps = 60
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures"
TINY = 2.0**-126
EPS = 2.0**-23


def f32(x):
    """The nearest number of float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


def number(x):
    """A double for JSON, which has no infinity."""
    y = float(x)
    return y if math.isfinite(y) else None


def linear(low, high, n):
    return [low + (high - low) * i / (n - 1) for i in range(n)]


def logarithmic(low, high, n):
    return [math.exp(t) for t in linear(math.log(low), math.log(high), n)]


def near(centre, low, high, n):
    """Points on both sides of a centre, at distances of every size."""
    return [centre + sign * d for d in logarithmic(low, high, n) for sign in (-1, 1)]


def tidy(points, low, high):
    inside = {f32(x) for x in points}
    return sorted(x for x in inside if low <= x <= high)


def text(value, indent=""):
    """JSON with one row of numbers a line."""
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(name)}: {text(part, inner)}" for name, part in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + json.dumps(row) for row in value) + f"\n{indent}]"


def write(name, value):
    (FOLDER / f"{name}.json").write_text(text(value) + "\n")
