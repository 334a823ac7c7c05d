"""Devices and modules: the run half."""
from __future__ import annotations

import json
from ctypes import byref, c_bool, c_size_t, c_void_p, string_at
from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from . import _native as n


@dataclass(frozen=True)
class Device:
    """A Vulkan device; `index` selects it in load(device=...)."""

    index: int
    name: str
    type: str
    driver: str
    features: tuple[str, ...]
    memory_bytes: int


def devices() -> list[Device]:
    """Vulkan devices, best first; empty where there is no Vulkan."""
    count = c_size_t(32)
    infos = (n.DeviceInfo * 32)()
    try:
        n.call("qvk_device_list", None, infos, byref(count))
    except n.QvkError as error:
        if error.status == "NO_DEVICE":
            return []
        raise
    return [
        Device(i, d.name.decode(), d.type.decode(), d.driver.decode(), tuple(d.features.decode().split(",")), d.memory_bytes)
        for i, d in enumerate(infos[: min(count.value, 32)])
    ]


def inspect(path, graph: bool = False) -> dict[str, Any]:
    """What is in a .pte, .pt2 or .safetensors file."""
    text = c_void_p()
    n.call("qvk_inspect_file", n.path_bytes(path), byref(n.InspectParams(True, graph)), byref(text))
    try:
        return json.loads(string_at(text))
    finally:
        n.lib.qvk_text_free(byref(text))


class _Context:
    """One per device, shared by the modules that use it."""

    def __init__(self, device: str | int | None):
        self.handle = n.HANDLE()
        params = n.ContextParams(device=None if device is None else str(device).encode())
        n.call("qvk_context_create", byref(params), byref(self.handle))

    def __del__(self):
        n.lib.qvk_context_destroy(byref(self.handle))


class Module:
    """A loaded program. Calls from several threads at once raise QvkError (BUSY); use one module per thread."""

    def __init__(self, path, device: str | int | None = None, verify: bool = False):
        self._handle = n.HANDLE()
        self._context = _Context(device)
        params = n.ModuleParams(None, 0, verify, False)
        n.call("qvk_module_load", self._context.handle, n.path_bytes(path), byref(params), byref(self._handle))

    def __del__(self):
        if getattr(self, "_handle", None):
            n.lib.qvk_module_destroy(byref(self._handle))

    @property
    def device(self) -> str:
        info = n.DeviceInfo()
        n.lib.qvk_context_device(self._context.handle, byref(info))
        return info.name.decode()

    @property
    def methods(self) -> list[str]:
        count = n.lib.qvk_module_method_count(self._handle)
        return [n.lib.qvk_module_method_name(self._handle, i).decode() for i in range(count)]

    def forward(self, *inputs) -> Any:
        """Runs "forward". One output is returned as it is, several as a tuple."""
        return self.run("forward", inputs)

    __call__ = forward

    def run(self, method: str, inputs: Sequence) -> Any:
        name = method.encode()
        info = n.MethodInfo()
        n.call("qvk_module_method_info", self._handle, name, byref(info))
        arrays, values = self._values(name, info.n_inputs, inputs)
        results = (n.Value * max(info.n_outputs, 1))()
        n.call("qvk_module_forward", self._handle, name, values, info.n_inputs, results, info.n_outputs)
        del arrays  # kept alive for the call
        outputs = tuple(_result(results[i]) for i in range(info.n_outputs))
        return outputs[0] if len(outputs) == 1 else outputs

    def reset(self) -> None:
        """Sets mutable state (KV caches, buffers) back to what it was after load."""
        n.call("qvk_module_reset", self._handle)

    def _values(self, method: bytes, count: int, inputs: Sequence):
        values = (n.Value * max(count, 1))()
        arrays, given = [], list(inputs)
        for i in range(count):
            n.call("qvk_module_input_info", self._handle, method, i, byref(values[i]), byref(c_bool()))
            kind = values[i].kind
            if kind == n.KIND_NONE:
                continue
            if not given:
                raise TypeError(f"input {i} of {count} is missing")
            item = given.pop(0)
            if kind == n.KIND_TENSOR:
                arrays.append(n.as_array(item))
                values[i].tensor = n.tensor_of(arrays[-1])
            elif kind == n.KIND_FLOAT:
                values[i].f = float(item)
            else:
                values[i].i = int(item)
        if given:
            raise TypeError(f"{len(inputs)} inputs were given, the method takes {len(inputs) - len(given)}")
        return arrays, values


def _result(value: n.Value) -> np.ndarray | int | float | bool | None:
    if value.kind == n.KIND_TENSOR:
        return n.array_of(value.tensor)
    if value.kind == n.KIND_FLOAT:
        return value.f
    if value.kind == n.KIND_BOOL:
        return bool(value.i)
    return value.i if value.kind == n.KIND_INT else None


def load(path, device: str | int | None = None, verify: bool = False) -> Module:
    """Loads a .pte. device: index, part of a name, UUID, or "cpu" (reference executor); None: the best Vulkan device."""
    return Module(path, device, verify)
