#!/usr/bin/env python3
"""Runs the Python scripts of Markdown documents, as they stand, and their programs in ExecuTorch's runtime with qvk as its backend.

    run_scripts.py DOCUMENT.md...

A script is a block marked python that leaves `exported_program`, `sample_inputs` and `etvk_program` behind, as those of ExecuTorch's
page on Vulkan quantization do. The result must be that of PyTorch, which runs the exported program eagerly. For maintainers: needs
torch, torchao and executorch, and qvk.executorch importable.
"""
from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import torch

import qvk.executorch
from executorch.runtime import Runtime

RELATIVE = 2e-3  # of the largest output: float32 sums in another order; a dynamically quantized value may round the other way


def scripts(document: str) -> list[str]:
    return [code for code in re.findall(r"^```python\n(.*?)^```", document, re.MULTILINE | re.DOTALL) if "etvk_program" in code]


def error_of(code: str) -> float:
    torch.manual_seed(0)
    names: dict = {"__name__": "__main__"}
    exec(compile(code, "script", "exec"), names)
    with torch.no_grad():
        want = names["exported_program"].module()(*names["sample_inputs"])
    method = Runtime.get().load_program(names["etvk_program"].buffer).load_method("forward")
    got = method.execute(names["sample_inputs"])[0]
    return float((got - want).abs().max() / want.abs().max())


def main() -> int:
    worst = 0.0
    found = [(Path(path).name, index, code) for path in sys.argv[1:] for index, code in enumerate(scripts(Path(path).read_text()), 1)]
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # they may save files
        for name, index, code in found:
            error = error_of(code)
            worst = max(worst, error)
            print(f"{name}, script {index}: off by {error:.2e} of the largest output", flush=True)
        os.chdir("/")
    print(f"{len(found)} scripts, {'all' if worst <= RELATIVE else 'not all'} as PyTorch gives it")
    return not found or worst > RELATIVE


if __name__ == "__main__":
    sys.exit(main())
