#!/usr/bin/env python3
"""Plain exports of small Hugging Face models with random weights, and what PyTorch and torchao make of them.

usage: python tools/golden/hugging_face.py        (needs torch 2.13.0, torchao 0.18.0, transformers)
Writes to tests/golden/hugging_face:
  <model>.pt2                        torch.export.export of the model as it comes, sequence length 2 to 24
  <model>.in_<i>.npy                 inputs, of another length than the export saw
  <model>.<scheme>.npy               the output of eager PyTorch: float, or after torchao's quantize_ (groups of 16)
"""
import copy
import os
import zipfile

import numpy as np
import torch
import transformers
from torchao.quantization.granularity import PerAxis, PerGroup
from torchao.quantization.quant_api import Int8DynamicActivationIntxWeightConfig, IntxWeightOnlyConfig, quantize_
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "hugging_face")
CONFIGS = {
    "float": None,
    "4w": IntxWeightOnlyConfig(torch.int4, PerGroup(16)),
    "8w": IntxWeightOnlyConfig(torch.int8, PerAxis(0)),
    "8da4w": Int8DynamicActivationIntxWeightConfig(torch.int4, PerGroup(16)),
    "8da8w": Int8DynamicActivationIntxWeightConfig(torch.int8, PerAxis(0)),
}


def path(name):
    return os.path.join(FOLDER, name)


def deflate(file):
    """torch stores everything as it is; the graph's JSON shrinks to a tenth. Traces lose this machine's folders."""
    packages = os.path.dirname(transformers.__path__[0]).encode()
    with zipfile.ZipFile(file) as archive:
        entries = [(info.filename, archive.read(info).replace(packages, b"site-packages")) for info in archive.infolist()]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def save(name, model, example, inputs, schemes, **fixed):
    """`example` is what the export sees, `inputs` the length that the test runs."""
    model.eval()
    length = torch.export.Dim("length", min=2, max=24)
    shapes = {key: {1: length} for key in example} | {key: None for key in fixed}
    program = torch.export.export(model, (), kwargs=example | fixed, dynamic_shapes=shapes)
    torch.export.save(program, path(f"{name}.pt2"))
    deflate(path(f"{name}.pt2"))
    for i, tensor in enumerate(inputs.values()):
        np.save(path(f"{name}.in_{i}.npy"), tensor.numpy())
    for scheme in schemes:
        quantized = copy.deepcopy(model)
        if CONFIGS[scheme]:
            quantize_(quantized, CONFIGS[scheme])
        np.save(path(f"{name}.{scheme}.npy"), quantized(**inputs, **fixed)[0].numpy())


def tokens(batch, length):
    return torch.randint(0, 48, (batch, length))


def llama():
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32))
    save("llama", model, {"input_ids": tokens(1, 7)}, {"input_ids": tokens(1, 11)}, list(CONFIGS), use_cache=False)


def gpt2():
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=48, n_embd=32, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0))
    save("gpt2", model, {"input_ids": tokens(1, 7)}, {"input_ids": tokens(1, 5)}, ["float", "8da4w"],
         use_cache=False)


def bert():
    model = BertModel(BertConfig(
        vocab_size=48, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=32), add_pooling_layer=False)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    save("bert", model, {"input_ids": tokens(2, 7), "attention_mask": torch.ones(2, 7, dtype=torch.long)},
         {"input_ids": tokens(2, 9), "attention_mask": mask}, ["float", "8da8w"])


def main():
    os.makedirs(FOLDER, exist_ok=True)
    torch.manual_seed(3)
    with torch.no_grad():
        llama()
        gpt2()
        bert()


if __name__ == "__main__":
    main()
