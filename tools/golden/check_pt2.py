"""Checks that torch loads, runs and understands what qvk writes.

    python tools/golden/check_pt2.py build/libqvk.so FILE.pt2...

Each file is loaded and saved by qvk; then torch loads both and compares what the programs compute on the stored sample
inputs (bit for bit), their weights, which of them share storage, ranges of dynamic sizes, and the samples themselves.
Prints a line for each difference; exit status 1 when there was any.
"""

import ctypes
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402

try:  # their operators appear in quantized programs
    import torchao.quantization  # noqa: F401, E402
    import torchao.quantization.pt2e  # noqa: F401, E402
    from torch.ao.quantization.fx._decomposed import quantized_decomposed_lib  # noqa: F401, E402
except ImportError:
    pass


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("place", ctypes.c_uint64), ("node", ctypes.c_int32),
                ("message", ctypes.c_char * 512)]


def rewrite(library, source, target):
    program, error = ctypes.c_void_p(), Error()
    if library.qvk_program_load(source.encode(), ctypes.byref(program), ctypes.byref(error)):
        raise RuntimeError(error.message.decode())
    status = library.qvk_program_save(program, target.encode(), ctypes.byref(error))
    library.qvk_program_destroy(ctypes.byref(program))
    if status:
        raise RuntimeError(error.message.decode())


def same(a, b):
    if not isinstance(a, torch.Tensor):
        return a == b
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.is_floating_point():
        return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())
    return torch.equal(a, b)


def sharing(program):
    """For each weight the first one it shares storage with."""
    first, shares = {}, {}
    for name, tensor in {**program.state_dict, **program.constants}.items():
        if type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.numel():
            shares[name] = first.setdefault(tensor.untyped_storage().data_ptr(), name)
    return shares


def differences(old, new):
    leaves = torch.utils._pytree.tree_leaves
    if (old.example_inputs is None) != (new.example_inputs is None):
        yield "sample inputs are lost"
        return
    if str(old.range_constraints) != str(new.range_constraints):
        yield f"ranges {old.range_constraints} became {new.range_constraints}"
    ours, theirs = {**old.state_dict, **old.constants}, {**new.state_dict, **new.constants}
    for name in ours.keys() & theirs.keys():
        a, b = ours[name], theirs[name]
        if not same(a.detach(), b.detach()) or a.stride() != b.stride() or a.requires_grad != b.requires_grad:
            yield f"{name} changed"
    subclasses = [t for t in ours.values() if type(t) not in (torch.Tensor, torch.nn.Parameter)]
    if not subclasses and (ours.keys() != theirs.keys() or sharing(old) != sharing(new)):
        yield "names or shared storages of weights changed"
    if old.example_inputs is None:
        return
    args, kwargs = new.example_inputs
    if not all(same(a, b) for a, b in zip(leaves(old.example_inputs), leaves(new.example_inputs), strict=True)):
        yield "sample inputs changed"
    before = leaves(old.module()(*args, **kwargs))
    after = leaves(new.module()(*args, **kwargs))
    if len(before) != len(after) or not all(same(a, b) for a, b in zip(before, after)):
        yield "outputs differ"


def main():
    library = ctypes.CDLL(os.path.abspath(sys.argv[1]))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sys.argv[2:]:
            target = os.path.join(folder, os.path.basename(path))
            try:
                rewrite(library, path, target)
                found = list(differences(torch.export.load(path), torch.export.load(target)))
            except Exception as error:  # noqa: BLE001
                found = [str(error).strip().split("\n")[-1]]
            bad += bool(found)
            for line in found:
                print(f"{path}: {line}")
    print(f"{len(sys.argv) - 2 - bad} of {len(sys.argv) - 2} files come back the same")
    return bad > 0


sys.exit(main())
