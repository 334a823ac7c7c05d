"""Makes qvk the Vulkan backend of ExecuTorch's runtime in this process.

    import qvk.executorch
    from executorch.runtime import Runtime
    program = Runtime.get().load_program("model.pte")

Import it before a program is loaded. Where a VulkanBackend is registered already, that one stays and a warning says so. The backend
library is built against the installed `executorch` package: see docs/executorch.md.
"""
from __future__ import annotations

import ctypes
import importlib.util
import os
import warnings

from . import _native as n


def _backend_path() -> str:
    path = os.environ.get("QVK_EXECUTORCH_LIBRARY") or os.path.join(n.folder(), "lib", "libqvk_executorch.so")
    if not os.path.exists(path):
        raise ImportError(
            "this qvk was built without the ExecuTorch backend: install executorch first, then qvk again "
            "(pip install ./python; docs/executorch.md)"
        )
    return path


def _register() -> ctypes.CDLL:
    if importlib.util.find_spec("executorch") is None:
        raise ImportError("qvk.executorch needs the `executorch` package")
    # Loads libexecutorch.so with the symbols the backend registers itself through.
    importlib.import_module("executorch.extension.pybindings.portable_lib")
    library = ctypes.CDLL(_backend_path(), mode=ctypes.RTLD_GLOBAL)
    library.qvk_executorch_is_registered.restype = ctypes.c_bool
    library.qvk_executorch_configure.argtypes = [ctypes.POINTER(n.ContextParams), ctypes.POINTER(n.Error)]
    if not library.qvk_executorch_is_registered():
        warnings.warn("another VulkanBackend is registered with ExecuTorch: it stays", stacklevel=2)
    return library


_library = _register()


def configure(device: str | int | None = None, cache_dir: str | None = None) -> None:
    """Chooses the device for programs loaded from now on; see qvk.load."""
    params = n.ContextParams(
        device=None if device is None else str(device).encode(), cache_dir=cache_dir.encode() if cache_dir else None
    )
    error = n.Error()
    n.check(_library.qvk_executorch_configure(ctypes.byref(params), ctypes.byref(error)), error)
