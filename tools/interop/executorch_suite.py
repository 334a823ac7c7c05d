#!/usr/bin/env python3
"""Runs ExecuTorch's own Vulkan tests, as the installed package has them, on a backend.

    executorch_suite.py BACKEND [NAME_PART]...

BACKEND is a library that registers "VulkanBackend" when loaded, or a Python module (qvk.executorch). Each test has its own
process: an abort fails that test alone. Prints what failed and, with qvk as the backend, which operators ran on the CPU
(a device must be there); the last line is "N of M pass". Needs torch and executorch.
"""
from __future__ import annotations

import ctypes
import gc
import importlib
import logging
import multiprocessing
import os
import sys
import tempfile
import unittest
import warnings

TIMEOUT_S = 600
ON_CPU = "qvk: on the CPU: "


def warm_up(tests) -> None:
    """What the first export of a process loads, once, before the processes are made."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)  # a pool of threads does not survive the fork
    tests.lower_module(torch.nn.ReLU(), (torch.zeros(2, 2),)).to_executorch()
    gc.collect()
    gc.freeze()  # the processes need not look at all this again


def run_one(suite, name: str, log: str, queue) -> None:
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromName(name, suite).run(result)
    if result.skipped:
        queue.put("skipped")
    elif result.wasSuccessful():
        queue.put("")
    else:
        queue.put((result.errors + result.failures)[0][1].strip().splitlines()[-1][:200])


def run(suite, name: str, log: str) -> str:
    """"" when the test passes, else why not."""
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=run_one, args=(suite, name, log, queue))
    process.start()
    try:
        said = queue.get(timeout=TIMEOUT_S)
    except Exception:
        said = None
    process.join(10)
    if process.is_alive():
        process.kill()
    return f"died, exit {process.exitcode}" if said is None else said


def cpu_operators(log: str) -> list[str]:
    lines = open(log, errors="replace").read().splitlines()
    return sorted({line.split(ON_CPU, 1)[1] for line in lines if ON_CPU in line})


def last_words(log: str) -> str:
    lines = [line for line in open(log, errors="replace").read().splitlines() if "qvk: " in line and ON_CPU not in line]
    return lines[-1][:300] if lines else ""


def main() -> int:
    backend, parts = sys.argv[1], sys.argv[2:] or [""]
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    os.environ["QVK_LOG"] = "1"
    runtime = importlib.import_module("executorch.runtime").Runtime.get()
    if backend.endswith(".so"):
        ctypes.CDLL(backend, mode=ctypes.RTLD_GLOBAL)
    else:
        importlib.import_module(backend)
    if "VulkanBackend" not in runtime.backend_registry.registered_backend_names:
        sys.exit(f"executorch_suite.py: {backend} registered no VulkanBackend")
    tests = importlib.import_module("executorch.backends.vulkan.test.test_vulkan_delegate")
    warm_up(tests)
    names = unittest.defaultTestLoader.getTestCaseNames(tests.TestVulkanBackend)
    passed = total = 0
    with tempfile.NamedTemporaryFile() as log:
        for name in (n for n in names if any(part in n for part in parts)):
            why = run(tests.TestVulkanBackend, name, log.name)
            total += 1
            passed += not why
            if why:
                print(f"{name}: {why}\n    {last_words(log.name)}", flush=True)
            for line in cpu_operators(log.name):
                print(f"{name}: on the CPU: {line}", flush=True)
    print(f"{passed} of {total} pass")
    return passed != total


if __name__ == "__main__":
    sys.exit(main())
