#!/usr/bin/env python3
"""Draws bench_linear's JSON lines, and those of its peers, as a roofline (SVG) and a Markdown table.

    roofline.py FILE... [--svg OUT.svg] [--markdown OUT.md]

Without --markdown the table goes to stdout. Each point is one linear: operations a second over operations a byte.
The slope is the device's copy bandwidth, the level lines its arithmetic rates, measured in the same run.
"""

from __future__ import annotations

import argparse
from html import escape
from math import floor, log10
from pathlib import Path

from measurements import SCHEMES, Device, Point, markdown, read, scheme_name, time_text

WIDTH, HEIGHT = 1080, 680
LEFT, RIGHT, TOP, BOTTOM = 84, 862, 84, 590  # of the plot
INK, SOFT, GRID, FAINT = "#1f2430", "#667085", "#e4e7ec", "#f2f4f7"
# A peer has the lighter colour of its counterpart, and is drawn hollow.
COLOURS = {
    "4w": "#2563eb",
    "8w": "#0d9488",
    "8da4w": "#dc2626",
    "8da8w": "#9333ea",
    "ggml-q4_0": "#60a5fa",
    "ggml-q8_0": "#2dd4bf",
    "ggml-f16": "#98a2b3",
}


class Axis:
    """A logarithmic scale from values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * log10(value / self.low) / log10(self.high / self.low)

    def decades(self) -> list[float]:
        powers = (10.0**e for e in range(floor(log10(self.low)), floor(log10(self.high)) + 1))
        return [p for p in powers if self.low * 0.999 <= p <= self.high * 1.001]

    def between(self) -> list[float]:
        """What lies between the decades."""
        first = 10.0 ** floor(log10(self.low))
        ticks = [first * 10**e * i for e in range(12) for i in range(2, 10)]
        return [t for t in ticks if self.low < t < self.high]

    def labelled(self) -> list[float]:
        """The decades, and twos and fives where there are few."""
        decades = self.decades()
        if len(decades) > 2:
            return decades
        return decades + [t for t in self.between() if f"{t:.0e}"[0] in "25"]


def si(value: float) -> str:
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            value /= factor
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
    return f"{value:.3g} "


class Picture:
    def __init__(self, device: Device, points: list[Point]) -> None:
        self.device, self.points = device, points
        top = max(device.rates.values())
        knee = top / device.bandwidth
        xs = [p.intensity for p in points] + [knee, knee / 5]  # so that the slope can be seen
        ys = [p.speed for p in points]
        self.x = Axis(min(xs) / 1.6, max(xs) * 2.5, LEFT, RIGHT)
        self.y = Axis(min(ys) / 3, max(top, *ys) * 1.9, BOTTOM, TOP)
        self.parts: list[str] = []

    # ---- shapes

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float, more: str = "") -> None:
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}" {more}/>'
        )

    def text(self, x: float, y: float, words: str, size: int = 13, colour: str = INK, more: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" {more}>{escape(words)}</text>')

    def dot(self, x: float, y: float, scheme: str, title: str = "") -> None:
        colour = COLOURS.get(scheme, INK)
        title = f"<title>{escape(title)}</title>" if title else ""
        place = f'cx="{x:.1f}" cy="{y:.1f}" stroke="{colour}"'
        style = 'r="4.5" fill="#ffffff" stroke-width="2"' if scheme.startswith("ggml") else f'r="5" fill="{colour}" fill-opacity="0.8"'
        self.parts.append(f"<circle {place} {style}>{title}</circle>")

    # ---- layers of the drawing, the lowest first

    def grid(self) -> None:
        for value in self.x.between():
            self.line(self.x(value), TOP, self.x(value), BOTTOM, FAINT, 1)
        for value in self.y.between():
            self.line(LEFT, self.y(value), RIGHT, self.y(value), FAINT, 1)
        for value in self.x.decades():
            self.line(self.x(value), TOP, self.x(value), BOTTOM, GRID, 1.2)
        for value in self.y.decades():
            self.line(LEFT, self.y(value), RIGHT, self.y(value), GRID, 1.2)
        for value in self.x.labelled():
            self.text(self.x(value), BOTTOM + 20, f"{value:g}", 13, SOFT, 'text-anchor="middle"')
        for value in self.y.labelled():
            self.text(LEFT - 10, self.y(value) + 4, si(value), 13, SOFT, 'text-anchor="end"')
        self.text((LEFT + RIGHT) / 2, BOTTOM + 48, "operations a byte", 14, INK, 'text-anchor="middle"')
        middle = (TOP + BOTTOM) / 2
        self.text(24, middle, "operations a second", 14, INK, f'text-anchor="middle" transform="rotate(-90 24 {middle})"')

    def rates(self) -> list[tuple[float, str]]:
        """Arithmetic ceilings in sight, the highest first."""
        return sorted(((r, name) for name, r in self.device.rates.items() if r >= self.y.low), reverse=True)

    def ceilings(self) -> None:
        bandwidth = self.device.bandwidth
        for rate, _ in self.rates():
            knee = max(rate / bandwidth, self.x.low)
            self.line(self.x(knee), self.y(rate), RIGHT, self.y(rate), INK, 1.6)
        x1, y1, x2, y2 = self.slope()
        self.line(x1, y1, x2, y2, INK, 1.6)

    def slope(self) -> tuple[float, float, float, float]:
        bandwidth, (top, _) = self.device.bandwidth, self.rates()[0]
        start = max(self.x.low, self.y.low / bandwidth)
        return self.x(start), self.y(start * bandwidth), self.x(top / bandwidth), self.y(top)

    def ceiling_labels(self) -> None:
        halo = 'paint-order="stroke" stroke="#ffffff" stroke-width="5" stroke-linejoin="round"'
        above = 0.0
        for rate, name in self.rates():
            y = self.y(rate)
            # On the line, or below it where the next is close above.
            baseline = y - 7 if y - above > 22 else y + 16
            unit = "OP/s" if name == "int8" else "FLOP/s"
            self.text(RIGHT - 8, baseline, f"{name} {si(rate)}{unit}", 12, INK, f'text-anchor="end" {halo}')
            above = y
        # In the middle of the slope, along it.
        x1, y1, x2, y2 = self.slope()
        x, y, run, rise = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        length = (run * run + rise * rise) ** 0.5
        along = f"matrix({run / length:.4f} {rise / length:.4f} {-rise / length:.4f} {run / length:.4f} {x:.1f} {y:.1f})"
        words = f"copy {si(self.device.bandwidth)}B/s"
        self.text(0, -8, words, 12, INK, f'text-anchor="middle" transform="{along}" {halo}')

    def rows(self) -> None:
        """Where the points of each M lie, along the lower edge."""
        for i, m in enumerate(sorted({p.m for p in self.points})):
            xs = [self.x(p.intensity) for p in self.points if p.m == m]
            y = BOTTOM - 14 - 22 * (i % 2)
            self.line(min(xs) - 6, y, max(xs) + 6, y, SOFT, 2, 'stroke-linecap="round"')
            self.text((min(xs) + max(xs)) / 2, y - 5, f"M = {m}", 11, SOFT, 'text-anchor="middle"')

    def measurements(self) -> None:
        series: dict[tuple, list[Point]] = {}
        for p in sorted(self.points, key=lambda p: p.m):
            series.setdefault((p.scheme, p.shape), []).append(p)
        for (scheme, _), line in series.items():
            path = " ".join(f"{self.x(p.intensity):.1f},{self.y(p.speed):.1f}" for p in line)
            style = f'fill="none" stroke="{COLOURS.get(scheme, INK)}" stroke-opacity="0.3" stroke-width="1.2"'
            dash = ' stroke-dasharray="4 3"' if scheme.startswith("ggml") else ""
            self.parts.append(f'<polyline points="{path}" {style}{dash}/>')
        # Ours above the peers'.
        for p in sorted(self.points, key=lambda p: not p.scheme.startswith("ggml")):
            what = f"{scheme_name(p.scheme)} {p.n}x{p.k}, M = {p.m}: {time_text(p.us)}, {si(p.speed)}OP/s"
            self.dot(self.x(p.intensity), self.y(p.speed), p.scheme, f"{what}, {p.share(self.device):.0%} of its ceiling")

    def legend(self) -> None:
        x, y = RIGHT + 28, TOP + 12
        self.text(x - 6, y, "best share of the ceiling", 12, SOFT)
        for scheme in SCHEMES:
            shares = [(p.share(self.device), p) for p in self.points if p.scheme == scheme]
            if not shares:
                continue
            y += 42
            best, p = max(shares, key=lambda pair: pair[0])
            self.dot(x, y - 4, scheme)
            self.text(x + 14, y, scheme_name(scheme), 14)
            self.text(x + 14, y + 16, f"{best:.0%}: {p.n}x{p.k}, M = {p.m}", 11, SOFT)

    def svg(self) -> str:
        self.text(LEFT, 36, f"Quantized linears on {self.device.name}", 20, INK, 'font-weight="600"')
        beside = "".join(f"; beside {peer}" for peer in self.device.peers)
        self.text(LEFT, 60, f"{self.device.driver}{beside}", 13, SOFT)
        self.grid()
        self.ceilings()
        self.rows()
        self.measurements()
        self.ceiling_labels()
        self.legend()
        font = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
        size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
        sheet = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', sheet, *self.parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    device, points = read(options.files)
    if not points:
        raise SystemExit("no measurements in " + ", ".join(map(str, options.files)))
    if options.svg:
        options.svg.write_text(Picture(device, points).svg(), encoding="utf-8")
    table = markdown(device, points)
    if options.markdown:
        options.markdown.write_text(table, encoding="utf-8")
    else:
        print(table, end="")


if __name__ == "__main__":
    main()
