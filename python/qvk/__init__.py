"""qvk: quantize PyTorch programs and run them on any Vulkan GPU.

    import qvk
    module = qvk.load("model.pte")
    outputs = module.forward(x)          # numpy arrays, or anything with DLPack

A thin layer over the C library (include/qvk): same words, same errors, as exceptions. Importing needs numpy only.
"""
from ._compile import lower, quantize
from ._module import Device, Module, devices, inspect, load
from ._native import QvkError, version

__all__ = ["Device", "Module", "QvkError", "devices", "inspect", "load", "lower", "quantize", "version"]
__version__ = version()
