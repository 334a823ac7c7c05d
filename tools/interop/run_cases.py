#!/usr/bin/env python3
"""The .pte files of a folder of conformance cases through ExecuTorch's runtime with qvk as its backend, and through `qvk run`.

    run_cases.py QVK_COMMAND CASES_DIR [NAME_PART]

A case is a folder with model.pte and in_<i>.npy. Both ways must give the same bits. For maintainers: needs torch and executorch,
and qvk.executorch importable. The last line is "N of M the same".
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import qvk.executorch
from executorch.runtime import Runtime


def numbered(folder: Path, prefix: str) -> list[Path]:
    return [path for i in range(64) if (path := folder / f"{prefix}_{i}.npy").exists()]


def by_command(command: str, folder: Path) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as out:
        inputs = [word for path in numbered(folder, "in") for word in ("--input", str(path))]
        done = subprocess.run([command, "run", str(folder / "model.pte"), *inputs, "--output", out], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [np.load(path) for path in numbered(Path(out), "out")]


def by_executorch(folder: Path) -> list[np.ndarray]:
    method = Runtime.get().load_program(str(folder / "model.pte")).load_method("forward")
    inputs = [torch.from_numpy(np.load(path)) for path in numbered(folder, "in")]
    return [value.numpy() for value in method.execute(inputs) if isinstance(value, torch.Tensor)]


def compare(command: str, folder: Path) -> str:
    """"" when both ways agree, else how they differ."""
    try:
        here, there = by_command(command, folder), by_executorch(folder)
    except Exception as error:
        return str(error).splitlines()[-1]
    if len(here) != len(there):
        return f"{len(here)} and {len(there)} outputs"
    for i, (a, b) in enumerate(zip(here, there)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {i}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
        if a.tobytes() != b.tobytes():
            return f"output {i}: they differ by up to {np.abs(a.astype(float) - b.astype(float)).max():g}"
    return ""


def main() -> int:
    command, root, part = sys.argv[1], Path(sys.argv[2]), (sys.argv[3:] or [""])[0]
    same = total = 0
    for folder in sorted(path.parent for path in root.glob("*/model.pte")):
        if part not in folder.name:
            continue
        why = compare(command, folder)
        total += 1
        same += not why
        if why:
            print(f"{folder.name}: {why}", flush=True)
    print(f"{same} of {total} the same")
    return same != total


if __name__ == "__main__":
    sys.exit(main())
