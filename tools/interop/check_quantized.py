#!/usr/bin/env python3
"""Programs that `qvk quantize` writes, loaded and run by torch.export.load.

usage: check_quantized.py QVK CASES      (torch 2.13.0 and torchao 0.18.0; CASES: conformance cases with float.pt2, in_*.npy, out_0.npy)
Last line: 'N of M load and agree'.
"""
import json, os, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
import torchao.quantization.pt2e  # noqa: F401  registers operators
import torchao.quantization.quant_primitives  # noqa: F401
from torch.ao.quantization.fx._decomposed import quantized_decomposed_lib  # noqa: F401

LIMIT = 1e-4  # of the largest output


def arguments(case, folder):
    scheme, group = case["scheme"], (case["options"] or {}).get("group_size")
    if scheme == "static_8a8w":
        return ["--scheme", "8a8w", "--calibrate", folder]
    scheme = scheme.removeprefix("pt2e_")
    return ["--scheme", scheme] + (["--group-size", str(group)] if group else ["--per-channel"])


def error_of(qvk, folder, case):
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "q.pt2")
        subprocess.run([qvk, "quantize", f"{folder}/float.pt2", "-o", path] + arguments(case, folder), check=True)
        module = torch.export.load(path).module()
    inputs, i = [], 0
    while os.path.exists(f"{folder}/in_{i}.npy"):
        inputs.append(torch.from_numpy(np.load(f"{folder}/in_{i}.npy")))
        i += 1
    output = module(*inputs)
    output = output[0] if isinstance(output, (tuple, list)) else output
    expected = np.load(f"{folder}/out_0.npy")
    return np.abs(output.detach().numpy() - expected).max() / np.abs(expected).max()


def main():
    qvk, cases = sys.argv[1:3]
    good = total = 0
    for name in sorted(os.listdir(cases)):
        folder = os.path.join(cases, name)
        if not os.path.exists(f"{folder}/case.json"):
            continue
        case = json.load(open(f"{folder}/case.json"))
        if case["scheme"] == "pt2e_8da8w":  # read and run, not produced
            continue
        total += 1
        try:
            error = error_of(qvk, folder, case)
            good += int(error < LIMIT)
            if error >= LIMIT:
                print(f"{name}: error {error:.1e}")
        except Exception as problem:
            print(f"{name}: {type(problem).__name__}: {str(problem)[:160]}")
    print(f"{good} of {total} load and agree")
    sys.exit(good != total)


main()
