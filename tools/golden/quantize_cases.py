#!/usr/bin/env python3
"""What torchao and PT2E make of small models, for the tests of src/quantize and of the command.

usage: python tools/golden/quantize_cases.py        (needs torch 2.13.0, torchao 0.18.0, executorch 1.5.1)
Writes to tests/golden/quantize:
  <model>.float.pt2                                  the float program
  <model>.in_0.npy, <model>.out_0.npy                an input, and what the quantized model makes of it
  <case>.<module>.{integers,scales,zero_points}.npy  the quantized weights; bfloat16 scales as their bits (int16)
  static_linear/calib_<sample>_in_0.npy              calibration samples
  histogram.txt                                      one line a case: mean, spread and size of each batch; range
"""
import os

import numpy as np
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from torchao.quantization.granularity import PerAxis, PerGroup
from torchao.quantization.pt2e.observer import HistogramObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig, IntxWeightOnlyConfig, quantize_
from torchao.quantization.quant_primitives import MappingType

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "quantize")


class Model(torch.nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.fc1 = torch.nn.Linear(64, 32, dtype=dtype)
        self.fc2 = torch.nn.Linear(32, 16, bias=False, dtype=dtype)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def model(dtype):
    torch.manual_seed(7)
    return Model(dtype).eval(), (torch.randn(5, 64).to(dtype),)


def path(name):
    return os.path.join(FOLDER, name)


def save_array(name, tensor):
    tensor = tensor.detach().contiguous()
    np.save(path(name), (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy())


def save_case(name, dtype, config):
    module, inputs = model(dtype)
    quantize_(module, config)
    for layer in ("fc1", "fc2"):
        weight = getattr(module, layer).weight
        save_array(f"{name}.{layer}.integers.npy", weight.qdata)
        save_array(f"{name}.{layer}.scales.npy", weight.scale)
        save_array(f"{name}.{layer}.zero_points.npy", weight.zero_point)
    return module(*inputs)


def weight_cases():
    f32, f16, bf16 = torch.float32, torch.float16, torch.bfloat16
    int2, int4, int8 = torch.int2, torch.int4, torch.int8
    for text, dtype in (("f32", f32), ("f16", f16), ("bf16", bf16)):
        module, inputs = model(dtype)
        torch.export.save(torch.export.export(module, inputs), path(f"{text}.float.pt2"))
        save_case(f"{text}_int4_g32", dtype, IntxWeightOnlyConfig(int4, PerGroup(32)))
        save_case(f"{text}_int8_axis", dtype, IntxWeightOnlyConfig(int8, PerAxis(0)))
        save_case(f"{text}_int2_g16", dtype, IntxWeightOnlyConfig(int2, PerGroup(16)))
        save_case(f"{text}_int4_g32_asym", dtype, IntxWeightOnlyConfig(int4, PerGroup(32), MappingType.ASYMMETRIC))
        save_case(f"{text}_int4_g32_noclip", dtype,
                  IntxWeightOnlyConfig(int4, PerGroup(32), MappingType.SYMMETRIC_NO_CLIPPING_ERR))
        save_case(f"{text}_int4_g32_bf16scale", dtype, IntxWeightOnlyConfig(int4, PerGroup(32), scale_dtype=bf16))
    for name, granularity in (("g32", PerGroup(32)), ("g4", PerGroup(4)), ("axis", PerAxis(0))):
        save_case(f"f32_int4_{name}_hqq", f32,
                  IntxWeightOnlyConfig(int4, granularity, intx_choose_qparams_algorithm="hqq_scale_only"))


def command_case():
    module, inputs = model(torch.float32)
    torch.export.save(torch.export.export(module, inputs), path("linear_4w.float.pt2"))
    save_array("linear_4w.in_0.npy", inputs[0])
    quantize_(module, IntxWeightOnlyConfig(torch.int4, PerGroup(32)))
    save_array("linear_4w.out_0.npy", module(*inputs))
    module, inputs = model(torch.float32)
    quantize_(module, Int8DynamicActivationIntxWeightConfig(torch.int4, PerGroup(32)))
    save_array("linear_8da4w.out_0.npy", module(*inputs))


def static_case():
    module, inputs = model(torch.float32)
    program = torch.export.export(module, inputs)
    torch.export.save(program, path("static_linear.float.pt2"))
    os.makedirs(path("static_linear"), exist_ok=True)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(program.module(), quantizer)
    for i in range(3):
        sample = torch.randn(5, 64)
        np.save(path(f"static_linear/calib_{i}_in_0.npy"), sample.numpy())
        prepared(sample)
    save_array("static_linear.in_0.npy", inputs[0])
    save_array("static_linear.out_0.npy", convert_pt2e(prepared)(*inputs))


def ramp(mean, spread, count):
    """The same numbers as ramp() in tests/quantize/test_observer.c: a bent ramp, exact in float32."""
    i = torch.arange(count, dtype=torch.float32)
    t = (i * 37 % count) / 1024 - count / 2048
    return torch.tensor(mean) + torch.tensor(spread) * (t * t * t)


def histogram_cases():
    cases = [
        [(0.0, 4.0, 1024)],
        [(0.25, 1.0, 512), (0.25, 8.0, 1024)],
        [(-1.0, 2.0, 1024), (3.0, 2.0, 1024), (0.0, 0.5, 64)],
        [(2.0, 0.0, 16), (2.0, 1.0, 1024)],
    ]
    with open(path("histogram.txt"), "w") as file:
        for batches in cases:
            observer = HistogramObserver(dtype=torch.int8, quant_min=-128, quant_max=127,
                                         qscheme=torch.per_tensor_affine)
            for batch in batches:
                observer(ramp(*batch))
            low, high = observer._non_linear_param_search()
            text = " ".join(f"{mean} {spread} {count}" for mean, spread, count in batches)
            file.write(f"{len(batches)} {text} {float(low):.9g} {float(high):.9g}\n")


def main():
    os.makedirs(FOLDER, exist_ok=True)
    weight_cases()
    command_case()
    static_case()
    histogram_cases()


main()
