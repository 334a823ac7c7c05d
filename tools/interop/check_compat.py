#!/usr/bin/env python3
"""Files that `qvk lower --compat executorch` writes, deserialized by the executorch package; prints the operators they use.

usage: check_compat.py QVK CASES         (executorch 1.5.1; CASES: folders with float.pt2 and quantized.pt2)
Last line: 'N of M deserialize'.
"""
import collections, logging, os, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
logging.disable(50)
from executorch.backends.vulkan.serialization.vulkan_graph_serialize import flatbuffer_to_vk_graph
from executorch.exir._serialize._program import deserialize_pte_binary


def operators(path):
    loaded = deserialize_pte_binary(open(path, "rb").read())
    program = getattr(loaded, "program", loaded)
    for delegate in program.execution_plan[0].delegates:
        blob = program.backend_delegate_data[delegate.processed.index].data
        start, size = int.from_bytes(blob[10:14], "little"), int.from_bytes(blob[14:18], "little")
        yield from (call.name for call in flatbuffer_to_vk_graph(bytes(blob[start : start + size])).chain)


def main():
    qvk, cases = sys.argv[1:3]
    counts, good, total = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "c.pte")
        for name in sorted(os.listdir(cases)):
            for part in ("float", "quantized"):
                source = os.path.join(cases, name, part + ".pt2")
                if not os.path.exists(source):
                    continue
                total += 1
                try:
                    command = [qvk, "lower", source, "-o", path, "--compat", "executorch"]
                    subprocess.run(command, check=True, capture_output=True)
                    counts.update(operators(path))
                    good += 1
                except Exception as problem:
                    print(f"{name} {part}: {type(problem).__name__}: {str(problem)[:160]}")
    for operator, count in counts.most_common():
        print(f"{count:6} {operator}")
    print(f"{good} of {total} deserialize")
    sys.exit(good != total)


main()
