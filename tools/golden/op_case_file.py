"""The files of operator cases that tests/reference/test_golden_ops.c reads.

A file is a list of cases, tokens separated by white
space (tests/reference/test_golden_ops.c reads them):

    case NAME
    op aten.mm.default
    tensor DTYPE RANK SIZE... VALUE...      one line an argument, in schema order
    list COUNT                              and COUNT arguments on the lines that follow
    int N | float X | bool 0/1 | string S | none | ints COUNT N... | floats COUNT X...
    out DTYPE TOLERANCE RANK SIZE... VALUE...   one line a result; DTYPE none: not compared
    after INDEX TOLERANCE VALUE...          argument INDEX after the call, for operators that write one
    end

Floats are written in hexadecimal, so they are exact. TOLERANCE names one of tests/support/support.h.
"""

import math
import re

import torch

DTYPES = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float64: "float64",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.int16: "int16",
    torch.int32: "int32",
    torch.int64: "int64",
    torch.bool: "bool",
}


def number(value):
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return re.sub(r"\.?0*p", "p", value.hex())


def values(tensor):
    flat = tensor.double() if tensor.dtype.is_floating_point else tensor.to(torch.int64)
    return " ".join(number(v) for v in flat.contiguous().flatten().tolist())


def shape(tensor):
    return " ".join(str(n) for n in [tensor.dim(), *tensor.shape])


def argument(value):
    if value is None:
        return "none"
    if isinstance(value, torch.Tensor):
        return f"tensor {DTYPES[value.dtype]} {shape(value)} {values(value)}"
    if isinstance(value, bool):
        return f"bool {int(value)}"
    if isinstance(value, int):
        return f"int {value}"
    if isinstance(value, float):
        return f"float {number(value)}"
    if isinstance(value, str):
        return f"string {value}"
    if isinstance(value, (list, tuple)) and any(v is None or isinstance(v, torch.Tensor) for v in value):
        return "\n".join([f"list {len(value)}", *map(argument, value)])
    if isinstance(value, (list, tuple)):
        kind = "floats" if any(isinstance(v, float) for v in value) else "ints"
        return f"{kind} {len(value)} " + " ".join(number(v) for v in value)
    raise TypeError(value)


class Cases:
    """The cases of one file."""

    def __init__(self, seed):
        self.lines = []
        self.generator = torch.Generator().manual_seed(seed)

    def randn(self, *sizes, dtype=torch.float32):
        return torch.randn(sizes, generator=self.generator).to(dtype)

    def ints(self, low, high, *sizes, dtype=torch.int8):
        return torch.randint(low, high + 1, sizes, generator=self.generator).to(dtype)

    def add(self, name, op, args, outs, tolerance="sum", after=None):
        """outs: tensors, or None for a result that is not compared. after: {argument index: tensor}."""
        self.lines += [f"case {name}", f"op {op}"]
        self.lines += [argument(a) for a in args]
        for out in outs if isinstance(outs, (list, tuple)) else [outs]:
            if out is None:
                self.lines.append("out none")
            else:
                self.lines.append(f"out {DTYPES[out.dtype]} {tolerance} {shape(out)} {values(out)}")
        for index, tensor in (after or {}).items():
            self.lines.append(f"after {index} {tolerance} {values(tensor)}")
        self.lines += ["end", ""]

    def call(self, name, op, function, args, tolerance="sum"):
        self.add(name, op, args, function(*args), tolerance)

    def write(self, path):
        path.write_text(f"# torch {torch.__version__}; made by tools/golden/op_cases.py\n" + "\n".join(self.lines))
