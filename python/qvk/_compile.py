"""Quantizing and lowering: the compile half, file to file."""
from __future__ import annotations

from ctypes import byref
from fnmatch import fnmatchcase
from typing import Callable, Iterable, Sequence

from . import _native as n

_SCHEMES = {  # name: (weight bits, dynamic activations)
    "4w": (4, False),
    "8da4w": (4, True),
    "8w": (8, False),
    "8da8w": (8, True),
}


def _filter(include: Sequence[str], exclude: Sequence[str]) -> Callable:
    def keep(name, _user) -> bool:
        text = name.decode()
        return (not include or any(fnmatchcase(text, p) for p in include)) and not any(fnmatchcase(text, p) for p in exclude)

    return n.FILTER(keep)


def _static(program, samples: Iterable[Sequence]) -> None:
    quantizer = n.HANDLE()
    n.call("qvk_vulkan_quantizer_create", byref(quantizer))
    try:
        n.call("qvk_vulkan_quantizer_set_static", quantizer)
        n.call("qvk_prepare_pt2e", program, quantizer)
    finally:
        n.lib.qvk_vulkan_quantizer_destroy(byref(quantizer))
    for sample in samples:
        arrays = [n.as_array(x) for x in sample]
        tensors = (n.Tensor * max(len(arrays), 1))(*[n.tensor_of(a) for a in arrays])
        n.call("qvk_calibrate", program, None, tensors, len(arrays))
    n.call("qvk_convert_pt2e", program)


def quantize(
    source,
    target,
    scheme: str,
    group_size: int | None = None,
    *,
    calibrate: Iterable[Sequence] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> None:
    """Quantizes an exported program (.pt2) into another. scheme: 4w, 8da4w, 8w, 8da8w, or 8a8w with `calibrate`, samples of
    input arrays. group_size None: 32 for 4-bit weights, else one scale per output channel; 0: per channel."""
    program = n.HANDLE()
    n.call("qvk_program_load", n.path_bytes(source), byref(program))
    try:
        if scheme == "8a8w":
            _static(program, calibrate)
        elif scheme in _SCHEMES:
            bits, dynamic = _SCHEMES[scheme]
            size = (32 if bits == 4 else 0) if group_size is None else group_size
            keep = _filter(include, exclude)
            config = n.QuantConfig(kind=2 if dynamic else 1, weight_bits=bits, group_size=size)
            n.call("qvk_quantize", program, byref(config), byref(n.QuantizeParams(filter=keep)))
        else:
            raise ValueError(f"scheme {scheme!r}: possible are {', '.join(_SCHEMES)}, 8a8w")
        n.call("qvk_program_save", program, n.path_bytes(target))
    finally:
        n.lib.qvk_program_destroy(byref(program))


def lower(source, target, *, fp16: bool = False, dynamic_shapes: bool = False, compat_executorch: bool = False) -> str:
    """Lowers an exported program (.pt2) to a .pte. Returns one line for each operator left outside the delegate ("": none)."""
    program, lowered = n.HANDLE(), n.HANDLE()
    n.call("qvk_program_load", n.path_bytes(source), byref(program))
    try:
        options = n.PartitionerOptions(fp16, dynamic_shapes, compat_executorch, None)
        n.call("qvk_to_edge_transform_and_lower", program, byref(options), byref(lowered))
        n.call("qvk_to_executorch", lowered)
        n.call("qvk_program_write", lowered, n.path_bytes(target))
        return n.lib.qvk_lowered_outside(lowered).decode()
    finally:
        n.lib.qvk_lowered_destroy(byref(lowered))
        n.lib.qvk_program_destroy(byref(program))
