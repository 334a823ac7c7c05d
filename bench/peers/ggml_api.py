"""The part of ggml's C interface that ggml_vulkan.py uses, through ctypes. Only functions: no layout of ggml's is
assumed but ggml_init's three parameters."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

F32, F16, Q4_0, Q8_0 = 0, 1, 2, 8  # enum ggml_type
USAGE_WEIGHTS = 1  # enum ggml_backend_buffer_usage

Handle = ctypes.c_void_p
_SIZE, _INT, _INT64, _TEXT = ctypes.c_size_t, ctypes.c_int, ctypes.c_int64, ctypes.c_char_p


class InitParams(ctypes.Structure):
    """struct ggml_init_params"""

    _fields_ = [("mem_size", _SIZE), ("mem_buffer", Handle), ("no_alloc", ctypes.c_bool)]


# Name, result, parameters.
_BASE = [
    ("ggml_version", _TEXT, []),
    ("ggml_commit", _TEXT, []),
    ("ggml_init", Handle, [InitParams]),
    ("ggml_free", None, [Handle]),
    ("ggml_tensor_overhead", _SIZE, []),
    ("ggml_graph_overhead_custom", _SIZE, [_SIZE, ctypes.c_bool]),
    ("ggml_new_tensor_2d", Handle, [Handle, _INT, _INT64, _INT64]),
    ("ggml_mul_mat", Handle, [Handle, Handle, Handle]),
    ("ggml_new_graph_custom", Handle, [Handle, _SIZE, ctypes.c_bool]),
    ("ggml_build_forward_expand", None, [Handle, Handle]),
    ("ggml_nbytes", _SIZE, [Handle]),
    ("ggml_backend_reg_dev_count", _SIZE, [Handle]),
    ("ggml_backend_reg_dev_get", Handle, [Handle, _SIZE]),
    ("ggml_backend_dev_init", Handle, [Handle, _TEXT]),
    ("ggml_backend_dev_description", _TEXT, [Handle]),
    ("ggml_backend_dev_buffer_type", Handle, [Handle]),
    ("ggml_backend_dev_supports_op", ctypes.c_bool, [Handle, Handle]),
    ("ggml_backend_buft_alloc_buffer", Handle, [Handle, _SIZE]),
    ("ggml_backend_buft_get_alloc_size", _SIZE, [Handle, Handle]),
    ("ggml_backend_buffer_get_base", Handle, [Handle]),
    ("ggml_backend_buffer_set_usage", None, [Handle, _INT]),
    ("ggml_backend_buffer_clear", None, [Handle, ctypes.c_uint8]),
    ("ggml_backend_buffer_free", None, [Handle]),
    ("ggml_backend_tensor_alloc", _INT, [Handle, Handle, Handle]),
    ("ggml_backend_tensor_set", None, [Handle, _TEXT, _SIZE, _SIZE]),
    ("ggml_backend_tensor_get", None, [Handle, Handle, _SIZE, _SIZE]),
    ("ggml_backend_graph_compute", _INT, [Handle, Handle]),
]
_GGML = [("ggml_backend_load", Handle, [_TEXT])]


class Ggml:
    """ggml with its Vulkan backend on one device; its functions are attributes: ggml.ggml_mul_mat(...)."""

    def __init__(self, folder: Path, device: int) -> None:
        # Devices that are CPUs are used only when they are asked for.
        os.environ.setdefault("GGML_VK_VISIBLE_DEVICES", str(device))
        self._bind(self._library(folder, "libggml-base.so*"), _BASE)
        self._bind(self._library(folder, "libggml.so*"), _GGML)
        module = self._find(folder, "libggml-vulkan.so*")
        registry = self.ggml_backend_load(str(module).encode())
        if not registry or self.ggml_backend_reg_dev_count(registry) == 0:
            raise SystemExit(f"{module}: no Vulkan device")
        self.device = self.ggml_backend_reg_dev_get(registry, 0)
        self.backend = self.ggml_backend_dev_init(self.device, None)
        self.buffer_type = self.ggml_backend_dev_buffer_type(self.device)

    @staticmethod
    def _find(folder: Path, pattern: str) -> Path:
        found = sorted(folder.rglob(pattern))
        if not found:
            raise SystemExit(f"{folder}: no {pattern} in it")
        return found[0]

    @classmethod
    def _library(cls, folder: Path, pattern: str) -> ctypes.CDLL:
        return ctypes.CDLL(str(cls._find(folder, pattern)), mode=ctypes.RTLD_GLOBAL)

    def _bind(self, library: ctypes.CDLL, functions: list) -> None:
        for name, result, parameters in functions:
            function = getattr(library, name)
            function.restype, function.argtypes = result, parameters
            setattr(self, name, function)

    def buffer(self, size: int) -> int:
        buffer = self.ggml_backend_buft_alloc_buffer(self.buffer_type, size)
        if not buffer:
            raise MemoryError(f"no device memory for {size} bytes")
        self.ggml_backend_buffer_clear(buffer, 0)
        return buffer

    def place(self, tensor: int, buffer: int) -> None:
        """Puts a tensor at the beginning of a buffer."""
        if self.ggml_backend_tensor_alloc(buffer, tensor, self.ggml_backend_buffer_get_base(buffer)) != 0:
            raise MemoryError("a tensor does not fit its buffer")
