#!/usr/bin/env python3
"""The models of `make demo`: the two ways of quantizing a small sequence of linears for Vulkan, as .pte files.

usage: python tools/golden/demo_models.py        (needs torch 2.13.0, torchao 0.18.0, executorch 1.5.1)
Writes examples/models/<name>.pte, <name>.in.npy, and <name>.out.npy: what PyTorch computes with the quantized model.
"""
import os

import numpy as np
import torch
from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner
from executorch.backends.vulkan.quantizer.vulkan_quantizer import VulkanQuantizer, get_symmetric_quantization_config
from executorch.exir import to_edge_transform_and_lower
from torchao.quantization.granularity import PerGroup
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.utils import unwrap_tensor_subclass

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "models")


class LinearSequenceModule(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = torch.nn.Linear(128, 64, bias=False)
        self.linear2 = torch.nn.Linear(64, 32, bias=False)
        self.linear3 = torch.nn.Linear(32, 16, bias=False)

    def forward(self, x):
        return self.linear3(self.linear2(self.linear1(x)))


def save(name, module, inputs):
    program = torch.export.export(module, inputs)
    lowered = to_edge_transform_and_lower(program, partitioner=[VulkanPartitioner()]).to_executorch()
    lowered.save(os.path.join(FOLDER, name + ".pte"))
    np.save(os.path.join(FOLDER, name + ".in.npy"), inputs[0].numpy())
    np.save(os.path.join(FOLDER, name + ".out.npy"), module(*inputs).detach().numpy())


def main():
    torch.manual_seed(0)
    os.makedirs(FOLDER, exist_ok=True)
    inputs = (torch.randn(32, 128),)

    module = LinearSequenceModule()
    quantize_(module, Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=PerGroup(32)))
    unwrap_tensor_subclass(module)
    save("linears_8da4w", module, inputs)

    quantizer = VulkanQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_dynamic=False, weight_bits=8))
    prepared = prepare_pt2e(torch.export.export(LinearSequenceModule(), inputs).module(), quantizer)
    prepared(*inputs)
    save("linears_8w", convert_pt2e(prepared), inputs)


main()
