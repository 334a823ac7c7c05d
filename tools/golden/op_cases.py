"""Writes tests/golden/ops/*.txt: operator calls with the results PyTorch gives. Maintainers only.

    python tools/golden/op_cases.py tests/golden/ops

Needs torch and executorch (for the et_vk and llama operators). The format is that of op_case_file.py.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

import executorch.backends.vulkan.custom_ops_lib  # noqa: F401  registers et_vk
from executorch.extension.llm.custom_ops import custom_ops  # noqa: F401  registers llama

import basic_op_cases
from op_case_file import Cases

aten = torch.ops.aten
et_vk = torch.ops.et_vk
quantized = torch.ops.quantized_decomposed

# ---- products ------------------------------------------------------------------------------------------------------


def matmul():
    c = Cases(1)
    c.call("linear", "aten.linear.default", aten.linear, [c.randn(3, 7), c.randn(5, 7), c.randn(5)])
    c.call("linear_3d_no_bias", "aten.linear.default", aten.linear, [c.randn(2, 3, 6), c.randn(4, 6), None])
    c.call("linear_1d", "aten.linear.default", aten.linear, [c.randn(9), c.randn(2, 9), c.randn(2)])
    c.call("linear_f64", "aten.linear.default", aten.linear,
           [c.randn(2, 5, dtype=torch.float64) / 3, c.randn(3, 5, dtype=torch.float64) / 7, None], "f64")
    c.call("linear_f16", "aten.linear.default", aten.linear,
           [c.randn(2, 8, dtype=torch.float16), c.randn(3, 8, dtype=torch.float16), None], "f16")
    c.call("mm", "aten.mm.default", aten.mm, [c.randn(4, 5), c.randn(5, 3)])
    c.call("mm_empty_sum", "aten.mm.default", aten.mm, [c.randn(2, 0), c.randn(0, 3)])
    c.call("mm_int", "aten.mm.default", aten.mm,
           [c.ints(-100, 100, 3, 4, dtype=torch.int32), c.ints(-100, 100, 4, 2, dtype=torch.int32)], "exact")
    c.call("bmm", "aten.bmm.default", aten.bmm, [c.randn(3, 2, 5), c.randn(3, 5, 4)])

    def addmm(bias, a, b, beta, alpha):
        return aten.addmm(bias, a, b, beta=beta, alpha=alpha)

    def baddbmm(bias, a, b, beta, alpha):
        return aten.baddbmm(bias, a, b, beta=beta, alpha=alpha)

    c.call("addmm", "aten.addmm.default", addmm, [c.randn(3), c.randn(2, 5), c.randn(5, 3), 1, 1])
    c.call("addmm_scaled", "aten.addmm.default", addmm, [c.randn(2, 1), c.randn(2, 5), c.randn(5, 3), 0.5, -2])
    c.call("addmm_beta_0", "aten.addmm.default", addmm,
           [torch.full((2, 3), float("nan")), c.randn(2, 5), c.randn(5, 3), 0, 1])
    c.call("baddbmm", "aten.baddbmm.default", baddbmm, [c.randn(2, 1, 3), c.randn(2, 4, 5), c.randn(2, 5, 3), 2, 0.25])
    return c


# ---- convolution ---------------------------------------------------------------------------------------------------


def convolution():
    c = Cases(2)

    def add(name, x, w, bias, stride, padding, dilation, transposed, output_padding, groups):
        c.call(name, "aten.convolution.default", aten.convolution,
               [x, w, bias, stride, padding, dilation, transposed, output_padding, groups])

    add("conv2d", c.randn(1, 3, 5, 6), c.randn(4, 3, 3, 2), c.randn(4), [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    add("conv2d_strided", c.randn(2, 3, 7, 7), c.randn(2, 3, 3, 3), None, [2, 3], [1, 2], [1, 1], False, [0, 0], 1)
    add("conv2d_dilated", c.randn(1, 2, 8, 9), c.randn(3, 2, 3, 3), None, [1, 2], [2, 1], [2, 3], False, [0, 0], 1)
    add("conv2d_groups", c.randn(1, 6, 4, 4), c.randn(4, 3, 3, 3), c.randn(4), [1, 1], [1, 1], [1, 1], False, [0, 0], 2)
    add("depthwise", c.randn(2, 3, 5, 5), c.randn(3, 1, 3, 3), c.randn(3), [2, 2], [1, 1], [1, 1], False, [0, 0], 3)
    add("depthwise_multiplier", c.randn(1, 3, 4, 4), c.randn(6, 1, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 3)
    add("pointwise", c.randn(2, 5, 3, 2), c.randn(7, 5, 1, 1), c.randn(7), [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    add("one_number_lists", c.randn(1, 2, 6, 6), c.randn(2, 2, 3, 3), None, [2], [1], [1], False, [0], 1)
    add("conv1d", c.randn(2, 3, 9), c.randn(4, 3, 4), c.randn(4), [2], [1], [2], False, [0], 1)
    add("conv1d_groups", c.randn(1, 4, 7), c.randn(4, 2, 3), None, [1], [1], [1], False, [0], 2)
    add("transposed", c.randn(1, 3, 4, 3), c.randn(3, 2, 3, 3), c.randn(2), [2, 2], [1, 1], [1, 1], True, [1, 1], 1)
    add("transposed_dilated", c.randn(2, 2, 3, 4), c.randn(2, 3, 2, 3), None, [1, 2], [0, 1], [2, 1], True, [0, 1], 1)
    add("transposed_groups", c.randn(1, 4, 3, 3), c.randn(4, 3, 2, 2), c.randn(6), [2, 2], [0, 0], [1, 1], True, [0, 0], 2)
    add("transposed_1d", c.randn(1, 3, 5), c.randn(3, 2, 4), c.randn(2), [3], [1], [1], True, [2], 1)
    x, w = c.randn(1, 2, 4, 4), c.randn(3, 2, 3, 3)
    for name, low, high in [("clamp_6", 0, 6), ("clamp_relu", 0.0, 1.7976931348623157e308), ("clamp_none", None, None)]:
        plain = [x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1]
        out = aten.convolution(*plain)
        c.add(name, "et_vk.conv_with_clamp.default", [*plain, low, high],
              out if low is None else out.clamp(low, min(high, torch.finfo(torch.float32).max)))
    return c


# ---- pooling, resizing, sampling -----------------------------------------------------------------------------------


def planes():
    c = Cases(3)
    for name, args in {
        "max_pool": [c.randn(1, 2, 6, 7), [3, 2], [2, 2], [1, 1], [1, 1], False],
        "max_pool_default_stride": [c.randn(2, 2, 5, 5), [2, 2], [], [0, 0], [1, 1], False],
        "max_pool_ceil_dilated": [c.randn(1, 1, 8, 8), [3, 3], [2, 3], [1, 0], [2, 2], True],
        "max_pool_3d": [c.randn(2, 5, 5), [2], [2], [0], [1], True],
    }.items():
        c.call(name, "aten.max_pool2d_with_indices.default", aten.max_pool2d_with_indices, args, "exact")
        c.add(name + "_values", "aten.max_pool2d.default", args, aten.max_pool2d(*args), "exact")
    for name, args in {
        "avg_pool": [c.randn(1, 2, 6, 7), [3, 2], [2, 1], [1, 1], False, True, None],
        "avg_pool_without_pad": [c.randn(1, 2, 6, 7), [3, 2], [2, 1], [1, 1], False, False, None],
        "avg_pool_ceil": [c.randn(1, 1, 6, 6), [3, 3], [2, 2], [1, 1], True, True, None],
        "avg_pool_ceil_without_pad": [c.randn(1, 1, 6, 7), [3, 3], [2, 2], [1, 0], True, False, None],
        "avg_pool_divisor": [c.randn(2, 4, 4), [2, 2], [], [0, 0], False, True, 3],
    }.items():
        c.call(name, "aten.avg_pool2d.default", aten.avg_pool2d, args)
    for size in [[1, 1], [3, 2], [7, 5]]:
        c.call(f"adaptive_{size[0]}x{size[1]}", "aten._adaptive_avg_pool2d.default", aten._adaptive_avg_pool2d,
               [c.randn(1, 2, 5, 7), size])
    x = c.randn(1, 2, 3, 4)
    for name, size, factors in [("size", [5, 6], None), ("factors", None, [2.0, 1.7]), ("down", [2, 2], None)]:
        c.call("nearest_" + name, "aten.upsample_nearest2d.vec", aten.upsample_nearest2d.vec, [x, size, factors], "exact")
        for align in [False, True]:
            c.call(f"bilinear_{name}_{align}", "aten.upsample_bilinear2d.vec", aten.upsample_bilinear2d.vec,
                   [x, size, align, factors])
    x, grid = c.randn(2, 2, 4, 5), c.randn(2, 3, 4, 2)
    for interpolation in [0, 1]:
        for padding in [0, 1, 2]:
            for align in [False, True]:
                c.call(f"grid_{interpolation}{padding}{int(align)}", "aten.grid_sampler_2d.default",
                       aten.grid_sampler_2d, [x, grid, interpolation, padding, align])
    c.call("grid_priors", "et_vk.grid_priors.default", et_vk.grid_priors.default, [c.randn(1, 1, 2, 3), 8, 0.5])
    c.call("pixel_shuffle", "aten.pixel_shuffle.default", aten.pixel_shuffle, [c.randn(2, 12, 2, 3), 2], "exact")
    c.call("pixel_shuffle_3d", "aten.pixel_shuffle.default", aten.pixel_shuffle, [c.randn(9, 1, 2), 3], "exact")
    c.call("pixel_unshuffle", "aten.pixel_unshuffle.default", aten.pixel_unshuffle, [c.randn(1, 2, 4, 6), 2], "exact")
    return c


# ---- normalisations ------------------------------------------------------------------------------------------------


def norms():
    c = Cases(4)
    for dim in [0, 1, -1]:
        c.call(f"softmax_{dim}", "aten._softmax.default", aten._softmax, [c.randn(3, 4, 5) * 4, dim, False])
    c.call("log_softmax", "aten._log_softmax.default", aten._log_softmax, [c.randn(2, 6) * 9, 1, False])
    c.call("log_softmax_0", "aten._log_softmax.default", aten._log_softmax, [c.randn(4, 3), 0, False])
    masked = torch.tensor([[0.0, float("-inf"), 1.0], [float("-inf")] * 3, [1.0, float("inf"), 0.0]])
    c.call("softmax_infinite", "aten._softmax.default", aten._softmax, [masked, 1, False])
    c.call("layer_norm", "aten.native_layer_norm.default", aten.native_layer_norm,
           [c.randn(2, 3, 8), [8], c.randn(8), c.randn(8), 1e-5])
    c.call("layer_norm_two_dims", "aten.native_layer_norm.default", aten.native_layer_norm,
           [c.randn(2, 3, 4) + 5, [3, 4], None, None, 1e-3])
    c.call("group_norm", "aten.native_group_norm.default", aten.native_group_norm,
           [c.randn(2, 6, 3, 2), c.randn(6), c.randn(6), 2, 6, 6, 3, 1e-5])
    c.call("group_norm_plain", "aten.native_group_norm.default", aten.native_group_norm,
           [c.randn(1, 4, 5), None, None, 1, 4, 5, 1, 1e-5])
    x = c.randn(2, 3, 2, 2)
    c.call("batch_norm", "aten._native_batch_norm_legit_no_training.default",
           aten._native_batch_norm_legit_no_training,
           [x, c.randn(3), c.randn(3), c.randn(3), c.randn(3).abs() + 0.1, 0.1, 1e-5])
    c.call("batch_norm_2d", "aten._native_batch_norm_legit_no_training.default",
           aten._native_batch_norm_legit_no_training,
           [c.randn(4, 3), None, None, c.randn(3), c.randn(3).abs() + 0.1, 0.1, 1e-3])
    c.call("rms_norm", "et_vk.rms_norm.default", et_vk.rms_norm.default, [c.randn(2, 3, 8) * 3, c.randn(8), 1e-6])
    return c


# ---- attention -----------------------------------------------------------------------------------------------------


def attention():
    c = Cases(5)
    q, k, v = c.randn(2, 3, 4, 8), c.randn(2, 3, 6, 8), c.randn(2, 3, 6, 8)
    mask = c.randn(4, 6)
    for name, m, scale in [("sdpa", None, None), ("sdpa_mask", mask, None), ("sdpa_scale", None, 0.25),
                           ("sdpa_mask_4d", c.randn(2, 1, 1, 6), 0.5)]:
        c.add(name, "et_vk.sdpa.default", [q, k, v, m, scale],
              F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=scale))
    keep = torch.tensor([[True, False, True, True, False, True]] * 3 + [[False] * 6])
    c.add("sdpa_bool_mask", "et_vk.sdpa.default", [q, k, v, keep, None],
          F.scaled_dot_product_attention(q, k, v, attn_mask=keep))
    c.add("sdpa_grouped", "et_vk.sdpa.default", [c_q := c.randn(1, 4, 2, 6), c_k := c.randn(1, 2, 5, 6),
                                                 c_v := c.randn(1, 2, 5, 6), None, None],
          F.scaled_dot_product_attention(c_q, c_k, c_v, enable_gqa=True))

    for name, start, length, causal, masked in [("prefill", 0, 5, True, False), ("decode", 6, 1, True, False),
                                                ("chunk", 2, 3, True, False), ("open", 1, 2, False, False),
                                                ("masked", 3, 2, False, True)]:
        q = c.randn(1, length, 4, 8)
        k_cache, v_cache = c.randn(1, 8, 2, 8), c.randn(1, 8, 2, 8)
        m = c.randn(length, 8) if masked else None
        out = torch.ops.llama.custom_sdpa(q, k_cache, v_cache, start, m, 0.0, causal, None)
        c.add("custom_sdpa_" + name, "llama.custom_sdpa.default", [q, k_cache, v_cache, start, m, 0.0, causal, None], out)
        if masked:
            continue
        k, v = c.randn(1, length, 2, 8), c.randn(1, length, 2, 8)
        new_k, new_v = k_cache.clone(), v_cache.clone()
        new_k[:, start:start + length] = k
        new_v[:, start:start + length] = v
        out = torch.ops.llama.custom_sdpa(q, new_k, new_v, start, None, 0.0, causal, None)
        c.add("sdpa_with_kv_cache_" + name, "llama.sdpa_with_kv_cache.default",
              [q, k, v, k_cache, v_cache, start, length, None, 0.0, causal, None], out, after={3: new_k, 4: new_v})
    value, cache = c.randn(2, 2, 3, 4), c.randn(2, 5, 3, 4)
    written = cache.clone()
    written[:, 2:4] = value
    c.add("update_cache", "llama.update_cache.default", [value, cache, 2], None, "exact", after={1: written})

    c.call("rotary", "et_vk.apply_rotary_emb.default", et_vk.apply_rotary_emb.default,
           [c.randn(1, 3, 4, 8), c.randn(1, 3, 2, 8), c.randn(3, 4), c.randn(3, 4)])
    c.call("rotary_hf", "et_vk.apply_rotary_emb_hf.default", et_vk.apply_rotary_emb_hf.default,
           [c.randn(1, 3, 4, 8), c.randn(1, 3, 2, 8), c.randn(6, 8), c.randn(6, 8), 2])
    c.call("rotary_hf_partial", "et_vk.apply_rotary_emb_hf.default", et_vk.apply_rotary_emb_hf.default,
           [c.randn(1, 2, 2, 12), c.randn(1, 2, 1, 12), c.randn(5, 8), c.randn(5, 8), 1])
    c.call("rotary_interleaved", "et_vk.apply_rotary_emb_interleaved.default",
           et_vk.apply_rotary_emb_interleaved.default, [c.randn(2, 3, 8), c.randn(1, 3, 4, 2)])
    c.call("embedding", "aten.embedding.default", aten.embedding,
           [c.randn(7, 5), c.ints(0, 6, 2, 3, dtype=torch.int64), -1, False, False], "exact")
    return c


# ---- static int8 ---------------------------------------------------------------------------------------------------


def quantize(y, scale, zero_point):
    return quantized.quantize_per_tensor(y, scale, zero_point, -128, 127, torch.int8)


def pad4(n):
    return (n + 3) // 4 * 4


def requantize(acc, si, sw, bias, relu, so, zo):
    """acc: exact sums of (q - zi) w [N, OC, H, W] as int64. One float32 rounding an operation."""
    view = [1, -1, 1, 1]
    scale = torch.tensor(si, dtype=torch.float32) * sw
    y = acc.float() * scale.view(view)
    y = y + (bias.view(view) if bias is not None else 0.0)
    return quantize(y.clamp(min=0) if relu else y, so, zo)


def q8ta_conv(c, name, variant, ic, oc, size, kernel, stride, padding, dilation, groups, output_padding=None,
              bias=True, relu=False, padded=True, batch=1):
    si, zi, so, zo = 0.05, c.ints(-20, 20, 1).item(), 0.0625, c.ints(-20, 20, 1).item()
    x = c.ints(-128, 127, batch, ic, *size)
    transposed = variant == "transposed"
    w = c.ints(-127, 127, *((ic, oc // groups) if transposed else (oc, ic // groups)), *kernel)
    sw = c.randn(oc).abs() * 0.01 + 1e-3
    b = c.randn(oc) if bias else None
    exact_x, exact_w = (x.double() - zi), w.double()
    if transposed:
        acc = F.conv_transpose2d(exact_x, exact_w, None, stride, padding, output_padding, groups, dilation)
        rows = w.view(groups, ic // groups, oc // groups, *kernel).permute(0, 2, 3, 4, 1).reshape(oc, -1)
    else:
        acc = F.conv2d(exact_x, exact_w, None, stride, padding, dilation, groups)
        rows = w.permute(0, 2, 3, 1).reshape(oc, -1)
    out = requantize(acc.round().to(torch.int64), si, sw, b, relu, so, zo)
    # The same through PyTorch's own dequantize, convolve, quantize: equal but for ties.
    real_x = quantized.dequantize_per_tensor(x, si, zi, -128, 127, torch.int8)
    real_w = w.float() * (sw.view(groups, -1).repeat_interleave(ic // groups, 0).view(ic, -1, 1, 1) if transposed
                          else sw.view(-1, 1, 1, 1))
    y = (F.conv_transpose2d(real_x, real_w, b, stride, padding, output_padding, groups, dilation) if transposed
         else F.conv2d(real_x, real_w, b, stride, padding, dilation, groups))
    eager = quantize(y.relu() if relu else y, so, zo)
    assert (eager.int() - out.int()).abs().max() <= 1, name

    sums = rows.sum(1, dtype=torch.int32)
    if variant == "dw":
        packed = w.permute(2, 3, 1, 0).reshape(*kernel, oc)
    else:
        packed = F.pad(rows, (0, pad4(rows.shape[1]) - rows.shape[1])) if padded else rows
    width = pad4(oc) - oc if padded else 0
    args = [x, si, zi, packed, F.pad(sums, (0, width)), F.pad(sw, (0, width)), so, zo,
            F.pad(b, (0, width)) if bias else None, list(kernel), stride, padding]
    args += [output_padding] if transposed else []
    args += [dilation, groups, "relu" if relu else "none"]
    op = "et_vk.q8ta_conv2d" + ("" if variant == "general" else "_" + variant) + ".default"
    c.add(name, op, args, out, "exact")


def q8ta():
    c = Cases(6)
    one, none = [1, 1], [0, 0]
    q8ta_conv(c, "general", "general", 3, 4, (6, 5), (3, 3), one, one, one, 1)
    q8ta_conv(c, "general_strided_relu", "general", 3, 8, (7, 7), (3, 2), [2, 2], [1, 0], one, 1, relu=True)
    q8ta_conv(c, "general_dilated", "general", 2, 3, (7, 8), (2, 3), [1, 2], [2, 2], [3, 2], 1, bias=False)
    q8ta_conv(c, "general_groups", "general", 6, 4, (4, 4), (3, 3), one, one, one, 2)
    q8ta_conv(c, "general_unpadded", "general", 3, 5, (4, 4), (3, 3), one, one, one, 1, padded=False)
    q8ta_conv(c, "general_batch", "general", 2, 3, (3, 4), (2, 2), one, none, one, 1, batch=2)
    q8ta_conv(c, "pointwise", "pw", 8, 12, (3, 3), (1, 1), one, none, one, 1)
    q8ta_conv(c, "pointwise_odd", "pw", 5, 7, (3, 2), (1, 1), one, none, one, 1, relu=True)
    q8ta_conv(c, "depthwise", "dw", 8, 8, (6, 5), (3, 3), [2, 2], one, one, 8)
    q8ta_conv(c, "depthwise_odd", "dw", 6, 6, (5, 5), (3, 3), one, one, [2, 2], 6, padded=False, relu=True)
    q8ta_conv(c, "transposed", "transposed", 4, 8, (3, 4), (2, 2), [2, 2], none, one, 1, none)
    q8ta_conv(c, "transposed_overlap", "transposed", 3, 5, (4, 3), (3, 3), [2, 2], one, one, 1, one, bias=False)
    q8ta_conv(c, "transposed_groups", "transposed", 4, 6, (3, 3), (3, 2), [1, 2], [1, 0], one, 2, [0, 1], relu=True)

    for alpha in [1.0, -0.5]:
        a, b = c.ints(-128, 127, 2, 3, 5), c.ints(-128, 127, 2, 3, 5)
        c.call(f"add_{alpha}", "et_vk.q8ta_add.default", et_vk.q8ta_add.default,
               [a, b, 0.1, 5, 0.07, -11, 0.13, 7, alpha], "exact")
    c.call("relu", "et_vk.q8ta_relu.default", et_vk.q8ta_relu.default, [c.ints(-128, 127, 4, 9), 0.1, 5, 0.06, -3], "exact")
    x = c.ints(-128, 127, 1, 12, 2, 3)
    c.call("pixel_shuffle", "et_vk.q8ta_pixel_shuffle.default", et_vk.q8ta_pixel_shuffle.default,
           [x, 0.1, 3, 1 / 0.15, -9, 2], "exact")
    c.call("pixel_shuffle_copy", "et_vk.q8ta_pixel_shuffle.default", et_vk.q8ta_pixel_shuffle.default,
           [x, 0.1, 3, 1 / 0.1, 3, 2], "exact")
    return c


def main():
    folder = Path(sys.argv[1])
    for family in [matmul, convolution, planes, norms, attention, q8ta]:
        family().write(folder / f"{family.__name__}.txt")
    basic_op_cases.write_all(folder)


if __name__ == "__main__":
    main()
