#!/usr/bin/env python3
"""Expected output of examples/quantize_4bit.c and quantize_pt2e_8bit.c: the two Python scripts they mirror, with the same weights.

usage: python tools/golden/examples.py        (needs torch 2.13.0, torchao 0.18.0, executorch 1.5.1)
Writes tests/golden/examples/<example>.txt, one number a line: the first row of the quantized model's output.
"""
import os

import torch
from executorch.backends.vulkan.quantizer.vulkan_quantizer import VulkanQuantizer, get_symmetric_quantization_config
from torchao.quantization.granularity import PerGroup
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig, quantize_

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "examples")


def fill(shape, seed):
    """The same numbers as fill() in examples/linear_sequence.h."""
    count, state, numbers = 1, seed, []
    for size in shape:
        count *= size
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        numbers.append((state >> 8) / 33554432.0 - 0.25)
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape)


class LinearSequenceModule(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = torch.nn.Linear(128, 64, bias=False)
        self.linear2 = torch.nn.Linear(64, 32, bias=False)
        self.linear3 = torch.nn.Linear(32, 16, bias=False)
        for seed, layer in enumerate((self.linear1, self.linear2, self.linear3), 1):
            layer.weight = torch.nn.Parameter(fill(layer.weight.shape, seed))

    def forward(self, x):
        return self.linear3(self.linear2(self.linear1(x)))


def write(name, output):
    with open(os.path.join(FOLDER, name + ".txt"), "w") as file:
        file.writelines(f"{number:.6f}\n" for number in output[0].tolist())


def main():
    sample = (fill((32, 128), 4),)
    module = LinearSequenceModule()
    quantize_(module, Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=PerGroup(32)))
    write("quantize_4bit", module(*sample).detach())

    quantizer = VulkanQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_dynamic=False, weight_bits=8))
    prepared = prepare_pt2e(torch.export.export(LinearSequenceModule(), sample).module(), quantizer)
    prepared(*sample)
    write("quantize_pt2e_8bit", convert_pt2e(prepared)(*sample).detach())


main()
