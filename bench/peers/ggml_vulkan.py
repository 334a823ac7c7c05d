#!/usr/bin/env python3
"""Times ggml's Vulkan backend (llama.cpp) on linears, and prints lines like bench_linear's.

    ggml_vulkan.py FOLDER [--type q4_0,q8_0,f16] [--shape NxK,...] [--m 1,128,...]
                   [--layers L] [--runs R] [--cold MB] [--device INDEX] [--json FILE]

FOLDER holds libggml-base.so, libggml.so and libggml-vulkan.so, as a Python wheel of llama.cpp does.

What is timed is what bench_linear times: a chain of equal layers, each waiting for the one before, whose weights
take turns among copies that together are larger than the caches. Layers read and write two buffers in turn, so each
begins with what the one before wrote; where N and K differ, it reads as much of it as its input is long.
ggml's activations are float32. Its backend has no timestamps to ask for: a chain of 2 L layers is timed by the clock,
and what a call costs once, as a chain of L layers tells, is taken off.
A sample of the first layer's result is checked against the same sum in Python.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import random
import struct
import subprocess
import sys
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Iterator

from ggml_api import F16, F32, Q4_0, Q8_0, USAGE_WEIGHTS, Ggml, InitParams

WARM_UP_S = 0.6
MOST_ONCE_S = 0.5e-3  # that a call may cost; more is noise
TRIES = 3  # of one measurement
TILE_BLOCKS = 8192  # random blocks that weights repeat
X_PERIOD = 4099  # random activations that the input repeats; a prime, so that rows differ
SAMPLE_COLUMNS = 8


@dataclass(frozen=True)
class Format:
    """A weight type: `elements` in a block of `size` bytes."""

    name: str
    type: int
    elements: int
    size: int

    def random_block(self, rng: random.Random, k: int) -> bytes:
        if self.type == F16:
            return struct.pack("<e", rng.uniform(-1.7, 1.7) / k**0.5)
        spread = 4.6 if self.type == Q4_0 else 73.9  # of uniform integers
        # Scales of both signs, so that the integers' mean, a half, does not add up through a chain.
        return struct.pack("<e", rng.choice((-1, 1)) / spread / k**0.5) + rng.randbytes(self.size - 2)

    def values(self, block: bytes) -> list[float]:
        (scale,) = struct.unpack_from("<e", block)
        if self.type == F16:
            return [scale]
        if self.type == Q8_0:
            return [scale * q for q in struct.unpack_from("<32b", block, 2)]
        return [scale * ((b & 15) - 8) for b in block[2:]] + [scale * ((b >> 4) - 8) for b in block[2:]]


FORMATS = {f.name: f for f in (Format("q4_0", Q4_0, 32, 18), Format("q8_0", Q8_0, 32, 34), Format("f16", F16, 1, 2))}


@dataclass(frozen=True)
class Shape:
    format: Format
    m: int
    n: int
    k: int

    @property
    def weight_bytes(self) -> int:
        return self.n * self.k // self.format.elements * self.format.size

    @property
    def bytes(self) -> int:
        """Weights, activations and results, each once."""
        return self.weight_bytes + 4 * self.m * (self.n + self.k)

    @property
    def ops(self) -> int:
        return 2 * self.m * self.n * self.k


class Chain:
    """Copies of a layer's weights, two buffers of activations, and graphs of dependent layers over them."""

    def __init__(self, ggml: Ggml, shape: Shape, most_layers: int, cold_bytes: int) -> None:
        self.ggml, self.shape = ggml, shape
        self.buffers: list[int] = []
        self.copies = min(-(-cold_bytes // shape.weight_bytes) + 1, most_layers)
        tensors, graphs = self.copies + 8 * most_layers, 8
        room = tensors * ggml.ggml_tensor_overhead() + graphs * ggml.ggml_graph_overhead_custom(4 * most_layers, False)
        self.context = ggml.ggml_init(InitParams(room, None, True))
        self.tile = self._random_tile()
        self.weights = [self._make_weights() for _ in range(self.copies)]
        self.activations = [self._buffer(4 * shape.m * max(shape.n, shape.k) + 64) for _ in range(2)]
        rng = random.Random(2)
        numbers = array("f", (rng.uniform(-1, 1) for _ in range(X_PERIOD)))
        self.x = (numbers * (shape.m * shape.k // X_PERIOD + 1))[: shape.m * shape.k]

    def close(self) -> None:
        for buffer in self.buffers:
            self.ggml.ggml_backend_buffer_free(buffer)
        self.ggml.ggml_free(self.context)

    def _buffer(self, size: int) -> int:
        self.buffers.append(self.ggml.buffer(size))
        return self.buffers[-1]

    def _random_tile(self) -> bytes:
        """Whole rows of blocks."""
        rng = random.Random(1)
        a_row = self.shape.k // self.shape.format.elements
        rows = min(self.shape.n, -(-TILE_BLOCKS // a_row))
        return b"".join(self.shape.format.random_block(rng, self.shape.k) for _ in range(rows * a_row))

    def _make_weights(self) -> int:
        ggml, shape = self.ggml, self.shape
        tensor = ggml.ggml_new_tensor_2d(self.context, shape.format.type, shape.k, shape.n)
        buffer = self._buffer(ggml.ggml_backend_buft_get_alloc_size(ggml.buffer_type, tensor))
        ggml.ggml_backend_buffer_set_usage(buffer, USAGE_WEIGHTS)
        ggml.place(tensor, buffer)
        data = self.tile * min(-(-shape.weight_bytes // len(self.tile)), max(1, (16 << 20) // len(self.tile)))
        for at in range(0, shape.weight_bytes, len(data)):
            ggml.ggml_backend_tensor_set(tensor, data, at, min(len(data), shape.weight_bytes - at))
        return tensor

    def graph(self, layers: int) -> tuple[int, int]:
        """A graph of so many layers, and the first one's result."""
        ggml, shape = self.ggml, self.shape
        graph, first = ggml.ggml_new_graph_custom(self.context, 3 * layers + 16, False), 0
        for i in range(layers):
            x = ggml.ggml_new_tensor_2d(self.context, F32, shape.k, shape.m)
            ggml.place(x, self.activations[i % 2])
            y = ggml.ggml_mul_mat(self.context, self.weights[i % self.copies], x)
            ggml.place(y, self.activations[(i + 1) % 2])
            if not ggml.ggml_backend_dev_supports_op(ggml.device, y):
                raise NotImplementedError("the device has no kernel for it")
            ggml.ggml_build_forward_expand(graph, y)
            first = first or y
        return graph, first

    def seconds(self, graph: int) -> float:
        start = time.perf_counter()
        if self.ggml.ggml_backend_graph_compute(self.ggml.backend, graph) != 0:
            raise RuntimeError("ggml_backend_graph_compute failed")
        return time.perf_counter() - start

    def error(self) -> float:
        """Largest difference from Python's sum in some columns of the first and last row, relative to the largest."""
        ggml, shape = self.ggml, self.shape
        graph, y = self.graph(1)
        x = ggml.ggml_new_tensor_2d(self.context, F32, shape.k, shape.m)
        ggml.place(x, self.activations[0])
        packed = self.x.tobytes()
        ggml.ggml_backend_tensor_set(x, packed, 0, len(packed))
        self.seconds(graph)
        worst, largest = 0.0, 0.0
        for row in {0, shape.m - 1}:
            for column, weights in self._sample():
                expected = sum(w * v for w, v in zip(weights, self.x[row * shape.k : (row + 1) * shape.k]))
                actual = ctypes.c_float()
                ggml.ggml_backend_tensor_get(y, ctypes.addressof(actual), 4 * (row * shape.n + column), 4)
                # A NaN is as wrong as can be.
                worst = max(worst, abs(actual.value - expected) if actual.value == actual.value else float("inf"))
                largest = max(largest, abs(expected))
        return worst / largest

    def _sample(self) -> Iterator[tuple[int, list[float]]]:
        """Columns of the result with their weights."""
        shape, size = self.shape, self.shape.format.size
        a_row = shape.k // shape.format.elements * size
        for i in range(SAMPLE_COLUMNS):
            column = i * (shape.n - 1) // (SAMPLE_COLUMNS - 1)
            start = column * a_row % len(self.tile)
            blocks = (self.tile[at : at + size] for at in range(start, start + a_row, size))
            yield column, [v for block in blocks for v in shape.format.values(block)]


def measure(ggml: Ggml, shape: Shape, options: argparse.Namespace) -> dict[str, object]:
    most = options.layers or 60
    chain = Chain(ggml, shape, 2 * most, options.cold << 20)
    try:
        error = chain.error()
        probe, _ = chain.graph(4)
        chain.seconds(probe)
        # About as many layers as take a tenth of a second, of the four just timed.
        layers = options.layers or max(4, min(most, int(0.4 / chain.seconds(probe))))
        (short, _), (long, _) = chain.graph(layers), chain.graph(2 * layers)
        start = time.perf_counter()
        while time.perf_counter() - start < WARM_UP_S:
            chain.seconds(long)
        runs = [(chain.seconds(short), chain.seconds(long)) for _ in range(options.runs)]
    finally:
        chain.close()
    once = 2 * min(pair[0] for pair in runs) - min(pair[1] for pair in runs)
    once = min(max(once, 0), MOST_ONCE_S)
    each = sorted((pair[1] - once) / (2 * layers) * 1e6 for pair in runs)
    us = median(each)
    return {
        "us": round(us, 2),
        "min_us": round(each[0], 2),
        "max_us": round(each[-1], 2),
        "bytes": shape.bytes,
        "ops": shape.ops,
        "gbps": round(shape.bytes / us / 1e3, 1),
        "tops": round(shape.ops / us / 1e6, 3),
        "error": float(f"{error:.1e}"),
        "copies": chain.copies,
        "chain": 2 * layers,
        "once_us": round(once * 1e6, 1),
    }


def shapes(options: argparse.Namespace) -> list[Shape]:
    sizes = [tuple(int(size) for size in text.split("x")) for text in options.shape.split(",")]
    formats = [FORMATS[name] for name in options.type.split(",")]
    return [Shape(f, int(m), n, k) for n, k in sizes for f in formats for m in options.m.split(",")]


def start_of(shape: Shape) -> dict[str, object]:
    name, group = f"ggml-{shape.format.name}", shape.format.elements
    return {"scheme": name, "act": "float32", "m": shape.m, "n": shape.n, "k": shape.k, "group": group}


def work(options: argparse.Namespace) -> None:
    """Prints the lines from number options.worker on; the device is line 0."""
    ggml = Ggml(options.folder, options.device)
    if options.worker == 0:
        peer = f"ggml {ggml.ggml_version().decode()} ({ggml.ggml_commit().decode()}), Vulkan"
        print(json.dumps({"device": ggml.ggml_backend_dev_description(ggml.device).decode(), "peer": peer}), flush=True)
    for shape in shapes(options)[max(options.worker - 1, 0) :]:
        try:
            result = measure(ggml, shape, options)
        except (MemoryError, NotImplementedError) as problem:
            result = {"skipped": str(problem)}
        print(json.dumps(start_of(shape) | result), flush=True)


def supervise(options: argparse.Namespace) -> Iterator[str]:
    """The lines of a worker process, and of the next one where it died: some drivers do not bear many graphs."""
    wanted, done, tries = 1 + len(shapes(options)), 0, 0
    while done < wanted:
        before = done
        with subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--worker", str(done)], stdout=subprocess.PIPE, text=True
        ) as worker:
            for line in worker.stdout or ():
                yield line
                done += 1
        tries = tries + 1 if done == before else 0
        if done == 0:
            raise SystemExit("the backend could not be started")
        if tries == TRIES:
            yield json.dumps(start_of(shapes(options)[done - 1]) | {"skipped": "the process died"}) + "\n"
            done, tries = done + 1, 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--type", default="q4_0,q8_0,f16")
    parser.add_argument("--shape", default="4096x4096")
    parser.add_argument("--m", default="1")
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--cold", type=int, default=200)
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.worker is not None:
        work(options)
        return
    out = open(options.json, "w", encoding="utf-8") if options.json else None
    for line in supervise(options):
        for file in filter(None, (sys.stdout, out)):
            file.write(line)
            file.flush()


if __name__ == "__main__":
    main()
