"""The C library: found beside this package, declared with ctypes. Mirrors include/qvk; order and types must agree."""
from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

MAX_RANK = 8


class Error(Structure):  # qvk_error
    _fields_ = [("status", c_int), ("place", c_uint64), ("node", c_int32), ("message", c_char * 512)]


class Tensor(Structure):  # qvk_tensor
    _fields_ = [("dtype", c_int), ("rank", c_int32), ("sizes", c_int64 * MAX_RANK), ("data", c_void_p)]


class Value(Structure):  # qvk_value
    _fields_ = [("kind", c_int), ("tensor", Tensor), ("i", c_int64), ("f", c_double)]


class ContextParams(Structure):  # qvk_context_params
    _fields_ = [
        ("device", c_char_p),
        ("disable", c_char_p),
        ("cache_dir", c_char_p),
        ("validation", c_bool),
        ("timeout_ms", c_uint32),
        ("log", c_void_p),
        ("log_user", c_void_p),
        ("vulkan", c_void_p),
        ("tuning", c_int),
    ]


class DeviceInfo(Structure):  # qvk_device_info
    _fields_ = [
        ("name", c_char * 256),
        ("driver", c_char * 256),
        ("type", c_char * 16),
        ("uuid", c_char * 33),
        ("features", c_char * 256),
        ("coopmat", c_char * 512),
        ("api", c_char * 16),
        ("subgroup_size", c_uint32),
        ("memory_bytes", c_uint64),
        ("max_buffer_bytes", c_uint64),
        ("distrusted", c_char * 1024),
    ]


class MethodInfo(Structure):  # qvk_method_info
    _fields_ = [("n_inputs", c_int32), ("n_outputs", c_int32)]


class ModuleParams(Structure):  # qvk_module_params
    _fields_ = [("data_paths", POINTER(c_char_p)), ("n_data_paths", c_int32), ("verify", c_bool), ("profile", c_bool)]


class InspectParams(Structure):  # qvk_inspect_params
    _fields_ = [("json", c_bool), ("graph", c_bool)]


class QuantConfig(Structure):  # qvk_quant_config
    _fields_ = [
        ("kind", c_int),
        ("weight_bits", c_int32),
        ("group_size", c_int64),  # qvk_granularity
        ("mapping_type", c_int),
        ("scale_dtype", c_int),
        ("choose_qparams", c_int),
    ]


class PartitionerOptions(Structure):  # qvk_vulkan_partitioner_options
    _fields_ = [
        ("force_fp16", c_bool),
        ("require_dynamic_shapes", c_bool),
        ("compat_executorch", c_bool),
        ("block", POINTER(c_char_p)),
    ]


FILTER = ctypes.CFUNCTYPE(c_bool, c_char_p, c_void_p)
PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint64, c_char_p)


class QuantizeParams(Structure):  # qvk_quantize_params
    _fields_ = [
        ("filter", FILTER),
        ("filter_user", c_void_p),
        ("embeddings", c_bool),
        ("progress", PROGRESS),
        ("progress_user", c_void_p),
    ]


KIND_TENSOR, KIND_INT, KIND_FLOAT, KIND_BOOL, KIND_NONE = range(5)

# QVK_DTYPE_LIST, in order. numpy has no bfloat16.
DTYPES = ["float32", "float16", None, "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
CODES = {name: code for code, name in enumerate(DTYPES, 1) if name}

HANDLE = c_void_p
_FUNCTIONS = {
    "qvk_version": (c_char_p, []),
    "qvk_status_name": (c_char_p, [c_int]),
    "qvk_context_create": (c_int, [POINTER(ContextParams), POINTER(HANDLE), POINTER(Error)]),
    "qvk_context_destroy": (None, [POINTER(HANDLE)]),
    "qvk_context_device": (None, [HANDLE, POINTER(DeviceInfo)]),
    "qvk_device_list": (c_int, [POINTER(ContextParams), POINTER(DeviceInfo), POINTER(c_size_t), POINTER(Error)]),
    "qvk_module_load": (c_int, [HANDLE, c_char_p, POINTER(ModuleParams), POINTER(HANDLE), POINTER(Error)]),
    "qvk_module_destroy": (None, [POINTER(HANDLE)]),
    "qvk_module_method_count": (c_int32, [HANDLE]),
    "qvk_module_method_name": (c_char_p, [HANDLE, c_int32]),
    "qvk_module_method_info": (c_int, [HANDLE, c_char_p, POINTER(MethodInfo), POINTER(Error)]),
    "qvk_module_input_info": (c_int, [HANDLE, c_char_p, c_int32, POINTER(Value), POINTER(c_bool), POINTER(Error)]),
    "qvk_module_forward": (
        c_int,
        [HANDLE, c_char_p, POINTER(Value), c_int32, POINTER(Value), c_int32, POINTER(Error)],
    ),
    "qvk_module_reset": (c_int, [HANDLE, POINTER(Error)]),
    "qvk_inspect_file": (c_int, [c_char_p, POINTER(InspectParams), POINTER(c_void_p), POINTER(Error)]),
    "qvk_text_free": (None, [POINTER(c_void_p)]),
    "qvk_scheme_from_name": (c_int, [c_char_p]),
    "qvk_program_load": (c_int, [c_char_p, POINTER(HANDLE), POINTER(Error)]),
    "qvk_program_save": (c_int, [HANDLE, c_char_p, POINTER(Error)]),
    "qvk_program_destroy": (None, [POINTER(HANDLE)]),
    "qvk_quantize": (c_int, [HANDLE, POINTER(QuantConfig), POINTER(QuantizeParams), POINTER(Error)]),
    "qvk_vulkan_quantizer_create": (c_int, [POINTER(HANDLE), POINTER(Error)]),
    "qvk_vulkan_quantizer_destroy": (None, [POINTER(HANDLE)]),
    "qvk_vulkan_quantizer_set_static": (c_int, [HANDLE, POINTER(Error)]),
    "qvk_prepare_pt2e": (c_int, [HANDLE, HANDLE, POINTER(Error)]),
    "qvk_calibrate": (c_int, [HANDLE, HANDLE, POINTER(Tensor), c_int32, POINTER(Error)]),
    "qvk_convert_pt2e": (c_int, [HANDLE, POINTER(Error)]),
    "qvk_to_edge_transform_and_lower": (c_int, [HANDLE, POINTER(PartitionerOptions), POINTER(HANDLE), POINTER(Error)]),
    "qvk_to_executorch": (c_int, [HANDLE, POINTER(Error)]),
    "qvk_program_write": (c_int, [HANDLE, c_char_p, POINTER(Error)]),
    "qvk_lowered_destroy": (None, [POINTER(HANDLE)]),
    "qvk_lowered_outside": (c_char_p, [HANDLE]),
}


def folder() -> str:
    return os.path.dirname(os.path.abspath(__file__))


def _open() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("QVK_LIBRARY") or os.path.join(folder(), "lib", "libqvk.so.0"))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _open()


class QvkError(RuntimeError):
    """A failed call. `status` is its name in qvk/status.h ("BAD_FORMAT"); the message is the library's."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


def check(status: int, error: Error) -> None:
    if status:
        raise QvkError(lib.qvk_status_name(status).decode(), error.message.decode(errors="replace"))


def call(name: str, *arguments) -> None:
    """Calls a function whose last parameter is the error, and raises it."""
    error = Error()
    check(getattr(lib, name)(*arguments, byref(error)), error)


def path_bytes(path) -> bytes:
    return os.fsencode(os.fspath(path))


def version() -> str:
    return lib.qvk_version().decode()


def as_array(value) -> np.ndarray:
    """numpy's own arrays as they are; anything with DLPack (a torch CPU tensor) without a copy where possible."""
    if not isinstance(value, np.ndarray) and hasattr(value, "__dlpack__"):
        if getattr(value, "requires_grad", False):
            value = value.detach()
        value = np.from_dlpack(value)
    return np.ascontiguousarray(value)


def tensor_of(array: np.ndarray) -> Tensor:
    """Borrows the array, which must be contiguous and stay alive."""
    name = array.dtype.name
    if name not in CODES:
        raise TypeError(f"{name} arrays cannot be passed: possible are {', '.join(CODES)}")
    if array.ndim > MAX_RANK:
        raise ValueError(f"an array of {array.ndim} dimensions: at most {MAX_RANK} are possible")
    tensor = Tensor(CODES[name], array.ndim, (c_int64 * MAX_RANK)(*array.shape), array.ctypes.data)
    return tensor


def array_of(tensor: Tensor) -> np.ndarray:
    """A copy: the tensor's memory is the module's until its next call."""
    name = DTYPES[tensor.dtype - 1] if 1 <= tensor.dtype <= len(DTYPES) else None
    if not name:
        raise TypeError("the result has a dtype that numpy lacks (bfloat16)")
    shape = tuple(tensor.sizes[: tensor.rank])
    dtype = np.dtype(name)
    bytes_ = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if bytes_ == 0:
        return np.empty(shape, dtype)
    return np.frombuffer(ctypes.string_at(tensor.data, bytes_), dtype=dtype).reshape(shape).copy()
