"""Writes tests/golden/programs: small .pte files, each with something the reader must understand.

    python tools/golden/programs.py tests/golden/programs        (torch 2.13.0, torchao 0.18.0, executorch 1.5.1)

Then tools/golden/listings.sh writes what `qvk inspect --graph` says about each, which the tests compare.
"""

import os
import sys
import warnings

import torch
from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.exir.passes.init_mutable_pass import InitializedMutableBufferPass
from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torch.export import Dim, export
from torchao.quantization import (
    Int8DynamicActivationIntxWeightConfig,
    IntxWeightOnlyConfig,
    PerAxis,
    PerGroup,
    quantize_,
)
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
import executorch.extension.llm.custom_ops.custom_ops  # noqa: F401  registers llama.update_cache and custom_sdpa

warnings.filterwarnings("ignore")
OUT = sys.argv[1]


def save(name, module, inputs, options=None, vulkan=True, dynamic=None, passes=None, external=False):
    """Exports, lowers (to Vulkan, or to portable kernels alone) and writes NAME.pte, with NAME.ptd beside it."""
    if not isinstance(module, torch.fx.GraphModule):
        module.eval()
    exported = export(module, inputs, dynamic_shapes=dynamic)
    partitioners = [VulkanPartitioner(options or {})] if vulkan else []
    edge = to_edge_transform_and_lower(
        exported, partitioner=partitioners, compile_config=EdgeCompileConfig(_check_ir_validity=False)
    )
    config = ExecutorchBackendConfig(external_constants=external, passes=passes or [])
    program = edge.to_executorch(config)
    with open(os.path.join(OUT, name + ".pte"), "wb") as file:
        file.write(program.buffer)
    for tag in program._tensor_data:
        program.write_tensor_data_to_file(OUT)
        os.replace(os.path.join(OUT, tag + ".ptd"), os.path.join(OUT, name + ".ptd"))


def counting(*shape):
    """0, 1, 2, ...: what a test can expect without a table."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def linear(n_in, n_out, bias=True):
    layer = torch.nn.Linear(n_in, n_out, bias=bias)
    layer.weight.data = torch.randn(n_out, n_in)
    if bias:
        layer.bias.data = counting(n_out)
    return layer


class Lists(torch.nn.Module):
    """Python arguments of every kind, several results, optional tensor lists."""

    def forward(self, x, index, number, flag, text):
        y = x[:, index]
        values, places = torch.topk(y, 2, dim=1)
        return values + number, places, torch.sort(y, dim=0)[0]


class Branch(torch.nn.Module):
    def forward(self, x, p):
        return torch.cond(p.sum() > 0, lambda a: a + 1, lambda a: a * 2, (x,))


class Accumulator(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        self.register_buffer("total", start)

    def forward(self, x):
        self.total.add_(x)
        return self.total * 2


class DynamicReshape(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(8, 4)

    def forward(self, x):
        return self.layer(x).reshape(x.shape[0] * 2, 2).relu()


class ChannelsLast(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.conv.weight.data = counting(4, 3, 3, 3)

    def forward(self, x):
        return self.conv(x)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(16, 8)
        self.head = torch.nn.Linear(8, 16, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.embedding(tokens))


class Views(torch.nn.Module):
    """A constant without elements, and one that is a piece of a bigger storage (which is stored whole)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("none", torch.zeros(0, 4))
        self.register_buffer("piece", counting(10)[:3])

    def forward(self, x):
        return torch.cat([x, self.none], 0) + 1, x[:, :3] + self.piece


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, 8, 2, 4))
        self.register_buffer("values", torch.zeros(1, 8, 2, 4))
        self.project = linear(8, 8)

    def forward(self, x, position):
        start = position[0].item()
        torch._check_is_size(start)
        torch._check(start < 8)
        q = self.project(x).view(1, 1, 2, 4)
        torch.ops.llama.update_cache(q, self.keys, start)
        torch.ops.llama.update_cache(q * 2, self.values, start)
        return torch.ops.llama.custom_sdpa(q, self.keys, self.values, start, None, 0.0, True)


def quantized(layer, config):
    quantize_(layer, config)
    return layer


def static(module, inputs):
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(export(module.eval(), inputs).module(), quantizer)
    prepared(*inputs)
    return convert_pt2e(prepared)


def quantized_programs():
    x = torch.randn(5, 64)
    save("linear_4w", quantized(linear(64, 8), IntxWeightOnlyConfig(torch.int4, PerGroup(32))), (x,))
    dynamic = Int8DynamicActivationIntxWeightConfig(torch.int4, PerGroup(32))
    save("linear_8da4w", quantized(linear(64, 8), dynamic), (x,))
    dynamic = Int8DynamicActivationIntxWeightConfig(torch.int8, PerAxis(0))
    save("linear_8da8w", quantized(linear(16, 8), dynamic), (torch.randn(3, 16),))
    x = torch.randn(3, 16)
    save("static_linear", static(torch.nn.Sequential(linear(16, 8), torch.nn.ReLU(), linear(8, 4)), (x,)), (x,))
    x = torch.randn(1, 3, 8, 8)
    conv = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3, groups=4))
    save("static_conv", static(conv, (x,)), (x,))


def float_programs():
    x, four = torch.randn(3, 8), torch.randn(4)
    batch = {"x": {0: Dim("n", min=2, max=16)}}
    save("linear_fp16", linear(8, 4), (x,), {"force_fp16": True})
    save("linear_external", linear(8, 4), (x,), {"external_constants_max_data_bytes": 1 << 20})
    save("outside_external", linear(8, 4), (x,), vulkan=False, external=True)
    save("dynamic", DynamicReshape(), (x,), dynamic=batch)
    save("outside_dynamic", DynamicReshape(), (x,), vulkan=False, dynamic=batch)
    image = torch.randn(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    save("outside_channels_last", ChannelsLast().to(memory_format=torch.channels_last), (image,), vulkan=False)
    save("tied", Tied(), (torch.tensor([[1, 2, 3]]),))
    save("views", Views(), (torch.randn(2, 4),))
    save("outside_lists", Lists(), (torch.randn(5, 4), torch.tensor([1, 2]), 3, True, "text"))
    save("outside_branch", Branch(), (torch.randn(2, 3), torch.ones(2)), vulkan=False)
    save("buffer_dropped", Accumulator(torch.zeros(4)), (four,))
    save("buffer_alias", Accumulator(torch.zeros(4)), (four,), {"alias_buffer_mutations": True})
    start = [InitializedMutableBufferPass(["total"])]
    save("outside_buffer", Accumulator(counting(4)), (four,), vulkan=False, passes=start)
    save("kv_cache", Attention(), (torch.randn(1, 1, 8), torch.tensor([0])))


torch.manual_seed(0)
os.makedirs(OUT, exist_ok=True)
quantized_programs()
float_programs()
