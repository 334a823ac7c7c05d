"""The JSON lines of bench_linear and of bench/peers: read, compared with the device's ceilings, set as Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Callable, Iterable

# The peer's format that does the same work, for each of our schemes; and how it is called in tables.
COUNTERPARTS = {"4w": "ggml-q4_0", "8da4w": "ggml-q4_0", "8w": "ggml-q8_0", "8da8w": "ggml-q8_0"}
NAMES = {"ggml-q4_0": "llama.cpp Q4_0", "ggml-q8_0": "llama.cpp Q8_0", "ggml-f16": "llama.cpp F16"}
SCHEMES = ["4w", "8w", "8da4w", "8da8w", *NAMES]


def scheme_name(scheme: str) -> str:
    return NAMES.get(scheme, scheme)


@dataclass(frozen=True)
class Device:
    """What a bench_linear file begins with; rates in operations and bytes a second."""

    name: str
    driver: str
    bandwidth: float
    rates: dict[str, float]  # "int8", "float16", "float32": those there are
    peers: list[str]

    def rate(self, scheme: str) -> float:
        """The widest path for a scheme's arithmetic; peers compute in floats."""
        usable = self.rates if scheme.startswith("8da") else {k: v for k, v in self.rates.items() if k != "int8"}
        return max(usable.values())


@dataclass(frozen=True)
class Point:
    scheme: str
    m: int
    n: int
    k: int
    us: float
    min_us: float
    max_us: float
    bytes: float
    ops: float
    model: str
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.n, self.k

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.ops / self.bytes

    @property
    def speed(self) -> float:
        """Operations a second."""
        return self.ops / self.us * 1e6

    def share(self, device: Device) -> float:
        """Of the ceiling that bounds it."""
        return max(self.bytes / device.bandwidth, self.ops / device.rate(self.scheme)) / self.us * 1e6


def _device(headers: list[dict]) -> Device:
    """The best of what the files' first lines say of it."""
    ours = [h for h in headers if "copy_gbps" in h]
    if not ours:
        raise SystemExit("no line with the device's ceilings: one file must be bench_linear's")
    best = {key: max(h[key] for h in ours) for key in ("copy_gbps", "int8_tops", "f16_tflops", "f32_tflops")}
    rates = {"int8": best["int8_tops"], "float16": best["f16_tflops"], "float32": best["f32_tflops"]}
    rates = {name: rate * 1e12 for name, rate in rates.items() if rate > 0}
    peers = sorted({h["peer"] for h in headers if "peer" in h})
    return Device(ours[0]["device"], ours[0]["driver"], best["copy_gbps"] * 1e9, rates, peers)


def _point(runs: list[dict]) -> Point:
    """One point of all measurements of the same layer."""
    first = runs[0]
    return Point(
        **{name: first[name] for name in ("scheme", "m", "n", "k", "bytes", "ops")},
        us=median(run["us"] for run in runs),
        min_us=min(run["min_us"] for run in runs),
        max_us=max(run["max_us"] for run in runs),
        model=first.get("model", ""),
        count=first.get("count", 1),
    )


def read(paths: Iterable[Path]) -> tuple[Device, list[Point]]:
    headers: list[dict] = []
    layers: dict[tuple, list[dict]] = {}
    for path in paths:
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if "scheme" not in line:
                headers.append(line)
            elif "us" in line:  # not skipped
                key = tuple(line.get(name) for name in ("model", "n", "k", "m", "scheme"))
                layers.setdefault(key, []).append(line)
    return _device(headers), [_point(runs) for runs in layers.values()]


# ---- Markdown ----------------------------------------------------------------------------------------------------


def time_text(us: float) -> str:
    if us < 1000:
        return f"{us:.1f} us" if us < 100 else f"{us:.0f} us"
    return f"{us / 1e3:.2f} ms" if us < 1e5 else f"{us / 1e3:.0f} ms"


def _present(points: list[Point]) -> list[str]:
    return [scheme for scheme in SCHEMES if any(p.scheme == scheme for p in points)]


def _with_ratio(us: dict[str, float], scheme: str, text: str) -> str:
    """The cell, and how long the scheme takes beside the peer's counterpart."""
    peer = us.get(COUNTERPARTS.get(scheme, ""))
    return f"{text} ({us[scheme] / peer:.2f}x)" if peer else text


def _table(
    first: list[str], schemes: list[str], rows: dict[tuple, dict[str, float]], text: Callable[[tuple, str], str]
) -> list[str]:
    lines = ["| " + " | ".join([*first, *map(scheme_name, schemes)]) + " |", "|---" * (len(first) + len(schemes)) + "|"]
    for key, us in rows.items():
        cells = [_with_ratio(us, scheme, text(key, scheme)) if scheme in us else "-" for scheme in schemes]
        lines.append("| " + " | ".join([*map(str, key), *cells]) + " |")
    return lines


def _models(points: list[Point], schemes: list[str]) -> list[str]:
    """The sum over a model's linears, where all of them were measured."""
    rows: dict[tuple, dict[str, float]] = {}
    for model in dict.fromkeys(p.model for p in points if p.model):
        of_model = [p for p in points if p.model == model]
        shapes = {p.shape for p in of_model}
        for m in sorted({p.m for p in of_model}):
            for scheme in schemes:
                layers = [p for p in of_model if (p.m, p.scheme) == (m, scheme)]
                if {p.shape for p in layers} == shapes:
                    rows.setdefault((model, m), {})[scheme] = sum(p.us * p.count for p in layers)
    if not rows:
        return []
    table = _table(["all linears of", "M"], schemes, rows, lambda key, scheme: time_text(rows[key][scheme]))
    return ["", *table]


def markdown(device: Device, points: list[Point]) -> str:
    rates = ", ".join(f"{name} {rate / 1e12:.3g} TOP/s" for name, rate in device.rates.items())
    lines = [f"{device.name}, {device.driver}: copy {device.bandwidth / 1e9:.4g} GB/s, {rates}."]
    lines += [f"Beside {peer}; in parentheses our time divided by its." for peer in device.peers]
    schemes = _present(points)
    cells: dict[tuple, dict[str, Point]] = {}
    for p in sorted(points, key=lambda p: (p.n * p.k, p.n, p.m)):
        cells.setdefault((f"{p.n}x{p.k}", p.m), {})[p.scheme] = p
    rows = {key: {scheme: p.us for scheme, p in of_key.items()} for key, of_key in cells.items()}

    def text(key: tuple, scheme: str) -> str:
        p = cells[key][scheme]
        return f"{time_text(p.us)}, {p.share(device):.0%}"

    lines += ["Each cell: median time, share of the ceiling that bounds it.", ""]
    lines += _table(["layer N x K", "M"], schemes, rows, text)
    lines += _models(points, schemes)
    return "\n".join(lines) + "\n"
