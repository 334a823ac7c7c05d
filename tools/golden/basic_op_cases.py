"""Cases of elementwise, copy, index and reduction operators; op_cases.py writes them with the rest."""

import math

import torch

from op_case_file import Cases

aten = torch.ops.aten
INF, NAN = math.inf, math.nan
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0, 3.0, -3.0, 6.5, 1e-40, 1e-7, -1e-7,
           20.5, -20.5, 88.9, -104.5, 1e10, -1e10, 0.7853982, 2.3]


def specials(dtype=torch.float32):
    return torch.tensor(SPECIAL, dtype=torch.float64).to(dtype)


def rule(dtype):
    return {torch.float32: "round", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16"}.get(dtype, "exact")


UNARY = ("abs neg sign square relu round floor ceil trunc leaky_relu hardswish hardsigmoid logical_not isinf isnan cos "
         "sin tan atan exp expm1 log log2 log10 log1p sqrt rsqrt reciprocal sigmoid silu tanh erf gelu elu softplus mish "
         "hardtanh relu6 hardshrink celu clamp").split()
UNARY_OF_INTS = ("abs neg sign square relu round floor ceil trunc logical_not isinf isnan exp sqrt rsqrt reciprocal "
                 "sigmoid tanh cos hardtanh").split()
DEFAULTS = {
    "leaky_relu": [0.01], "gelu": ["none"], "elu": [1, 1, 1], "softplus": [1, 20], "hardtanh": [-1, 1],
    "hardshrink": [0.5], "celu": [1.0], "clamp": [-1.5, 2.25],
}


def call_unary(name, x, params):
    if name == "gelu":
        return aten.gelu.default(x, approximate=params[0])
    return getattr(aten, name).default(x, *params)


def unary(cases):
    for name in UNARY:
        for dtype in (torch.float32, torch.float16, torch.float64):
            x = specials(dtype)
            if name in ("cos", "sin", "tan"):
                x = x[x.abs() < 1000]  # their argument reduction is a matter of the library
            if name in ("mish", "gelu"):  # torch's vectorised CPU versions make NaN of infinity there
                x = x[x.abs() != INF]
            params = DEFAULTS.get(name, [])
            # 1 + erf(x) cancels below -2
            tolerance = "sum" if name == "gelu" and dtype == torch.float32 else rule(dtype)
            cases.add(f"{name}_{dtype}", f"aten.{name}.default", [x, *params], call_unary(name, x, params), tolerance)
    for name in UNARY_OF_INTS:
        x = torch.tensor([0, 1, -1, 2, -7, 100, 2**40 + 1, -(2**62) + 3])
        params = DEFAULTS.get(name, [])
        y = call_unary(name, x, params)
        cases.add(f"{name}_int64", f"aten.{name}.default", [x, *params], y, rule(y.dtype))
    for name, params in [("gelu", ["tanh"]), ("elu", [1.5, 2.0, 0.5]), ("softplus", [2.0, 3.0]), ("celu", [2.5]),
                         ("leaky_relu", [0.2]), ("hardshrink", [1.25]), ("hardtanh", [-2, 0.5]), ("clamp", [-1.5, None]),
                         ("clamp", [None, 2]), ("clamp", [3.0, -3.0]), ("threshold", [0.5, 7.0])]:
        x = specials()
        text = "_".join(str(p) for p in params)
        cases.add(f"{name}_{text}", f"aten.{name}.default", [x, *params], call_unary(name, x, params), "round")
    ints = torch.tensor([-9, -1, 0, 3, 12], dtype=torch.int32)
    for lo, hi in [(-2, 4), (-2, None), (None, 3), (0.5, 2.5), (None, 2.5)]:
        y = aten.clamp.default(ints, lo, hi)
        cases.add(f"clamp_int32_{lo}_{hi}", "aten.clamp.default", [ints, lo, hi], y, rule(y.dtype))
    cases.call("clamp_min", "aten.clamp_min.default", aten.clamp_min.default, [specials(), 0.25], "exact")
    cases.call("clamp_max", "aten.clamp_max.default", aten.clamp_max.default, [ints, 2], "exact")
    cases.call("log_sigmoid", "aten.log_sigmoid.default", aten.log_sigmoid.default, [specials()], "round")
    for dtype in (torch.bool, torch.int8, torch.uint8, torch.int64):
        x = torch.tensor([0, 1, 1, 0, 1]).to(dtype)
        cases.call(f"bitwise_not_{dtype}", "aten.bitwise_not.default", aten.bitwise_not.default, [x], "exact")
    cases.call("abs_int8_wraps", "aten.abs.default", aten.abs.default, [torch.tensor([-128, -127, 5], dtype=torch.int8)],
               "exact")
    cases.call("neg_uint8_wraps", "aten.neg.default", aten.neg.default, [torch.tensor([0, 1, 200], dtype=torch.uint8)],
               "exact")


PAIRS = [(x, y) for x in (NAN, INF, -INF, 0.0, 1.0, -1.0, 2.5, -7.5, 1e30) for y in (NAN, INF, -INF, 0.0, 2.0, -3.0, 0.5)]


def pow_pairs():
    return [(x, y) for x in (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, INF, -INF, NAN)
            for y in (0.0, 1.0, -1.0, 2.0, 3.0, -2.0, 0.5, 2.5, INF, -INF, NAN)]


BINARY = ("mul.Tensor div.Tensor minimum.default maximum.default floor_divide.default remainder.Tensor eq.Tensor "
          "ne.Tensor lt.Tensor le.Tensor gt.Tensor ge.Tensor logical_and.default logical_or.default "
          "logical_xor.default").split()


def packet(name):
    op, overload = name.split(".")
    return getattr(getattr(aten, op), overload)


def binary(cases):
    a, b = (torch.tensor(v) for v in zip(*PAIRS))
    for name in BINARY:
        for dtype in (torch.float32, torch.float16, torch.float64):
            args = [a.to(dtype), b.to(dtype)]
            y = packet(name)(*args)
            cases.add(f"{name}_{dtype}", f"aten.{name}", args, y, rule(y.dtype))
    a, b = (torch.tensor(v) for v in zip(*pow_pairs()))
    for dtype in (torch.float32, torch.float64):
        cases.call(f"pow_{dtype}", "aten.pow.Tensor_Tensor", aten.pow.Tensor_Tensor, [a.to(dtype), b.to(dtype)],
                   rule(dtype))
    for exponent in (2, 0.5, -1, 3, 2.5, 0, -0.5):
        x = torch.tensor([0.0, 1.0, 2.0, 0.25, 9.0, -2.0, INF, NAN])
        cases.call(f"pow_scalar_{exponent}", "aten.pow.Tensor_Scalar", aten.pow.Tensor_Scalar, [x, exponent], "round")
    ints = torch.tensor([-3, -2, -1, 0, 1, 2, 3, 10])
    cases.call("pow_int_scalar", "aten.pow.Tensor_Scalar", aten.pow.Tensor_Scalar, [ints, 3], "exact")
    cases.call("pow_int_float", "aten.pow.Tensor_Scalar", aten.pow.Tensor_Scalar, [ints, 0.5], "round")
    cases.call("pow_ints", "aten.pow.Tensor_Tensor", aten.pow.Tensor_Tensor,
               [ints, torch.tensor([2, -1, -3, 0, -5, 5, 40, 3])], "exact")
    x = torch.tensor([7, -7, 7, -7, 0, 9, -2**40], dtype=torch.int64)
    y = torch.tensor([2, 2, -2, -2, 3, -4, 3], dtype=torch.int64)
    for name in BINARY + ["bitwise_and.Tensor", "bitwise_or.Tensor", "bitwise_xor.Tensor"]:
        z = packet(name)(x, y)
        cases.add(f"{name}_int64", f"aten.{name}", [x, y], z, rule(z.dtype))
    for mode in (None, "floor", "trunc"):
        for p, q in ((x, y), (torch.tensor([7.5, -7.5, 1e20, -0.0]), torch.tensor([2.0, 2.0, 3.0, 5.0]))):
            z = aten.div.Tensor_mode(p, q, rounding_mode=mode)
            cases.add(f"div_{mode}_{p.dtype}", "aten.div.Tensor_mode", [p, q, mode], z, rule(z.dtype))
    for dtype in (torch.uint8, torch.int8, torch.int32):
        p = torch.tensor([100, 127, 7, 0]).to(dtype)
        q = torch.tensor([100, 127, 3, 1]).to(dtype)
        for name in ("add.Tensor", "sub.Tensor"):
            cases.add(f"{name}_{dtype}", f"aten.{name}", [p, q, 2], packet(name)(p, q, alpha=2), "exact")
        cases.call(f"mul_{dtype}", "aten.mul.Tensor", aten.mul.Tensor, [p, q], "exact")
    t = torch.tensor([True, True, False, False])
    u = torch.tensor([True, False, True, False])
    for name in ("mul.Tensor", "logical_xor.default", "bitwise_xor.Tensor", "bitwise_and.Tensor", "eq.Tensor"):
        cases.call(f"{name}_bool", f"aten.{name}", packet(name), [t, u], "exact")
    cases.add("add_bool", "aten.add.Tensor", [t, u, 1], t + u, "exact")
    cases.call("where_nan", "aten.where.self", aten.where.self,
               [t, torch.tensor([1.0, NAN, INF, 2.0]), torch.tensor(NAN)], "exact")
    cases.call("where_mixed", "aten.where.self", aten.where.self,
               [t.reshape(4, 1), cases.ints(-9, 9, 3, dtype=torch.int32), cases.randn(4, 3)], "exact")


def broadcasting(cases):
    for i, (p, q) in enumerate([((3, 1, 5), (4, 1)), ((), (2, 3)), ((1,), ()), ((2, 0, 3), (1, 3)), ((2, 1, 3, 1, 2, 1),
                                                                                             (1, 4, 1, 2, 1, 2))]):
        x, y = cases.randn(*p), cases.randn(*q)
        cases.add(f"add_broadcast_{i}", "aten.add.Tensor", [x, y, 2.5], aten.add.Tensor(x, y, alpha=2.5), "round")
        cases.call(f"lt_broadcast_{i}", "aten.lt.Tensor", aten.lt.Tensor, [x, y], "exact")


def types(cases):
    """Which type two operands give."""
    kinds = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
             torch.float32, torch.float64]
    for i, a in enumerate(kinds):
        for b in kinds[i:]:
            for scalar in (False, True):
                x = torch.tensor([1, 0, 1]).to(a)
                y = torch.tensor(1 if scalar else [1, 1, 0]).to(b)
                z = aten.mul.Tensor(x, y)
                cases.add(f"types_{a}_{b}_{scalar}", "aten.mul.Tensor", [x, y], z, rule(z.dtype))
    for dtype in kinds[1:]:
        for number in (2, 2.5, True):
            x = torch.tensor([1, 2, 3]).to(dtype)
            for name in ("add", "sub"):
                z = getattr(aten, name).Scalar(x, number) if name == "add" or number is not True else None
                if z is not None:
                    cases.add(f"{name}_{dtype}_{number}", f"aten.{name}.Scalar", [x, number, 1], z, rule(z.dtype))
            z = aten.div.Scalar(x, number)
            cases.add(f"div_{dtype}_{number}", "aten.div.Scalar", [x, number], z, rule(z.dtype))
            z = aten.ge.Scalar(x, number)
            cases.add(f"ge_{dtype}_{number}", "aten.ge.Scalar", [x, number], z, "exact")
    x = torch.tensor([1.0, -2.0, 0.5])
    cases.add("rsub", "aten.rsub.Scalar", [x, 3, 2], aten.rsub.Scalar(x, 3, 2), "exact")
    half = torch.tensor([0.1, 0.3, 1000.0]).half()
    cases.add("half_add_scalar", "aten.add.Scalar", [half, 0.1, 1], half + 0.1, "exact")
    cases.add("half_mul_scalar", "aten.mul.Scalar", [half, 0.1], half * 0.1, "exact")
    cases.add("half_mul_scalar_tensor", "aten.mul.Tensor", [half, torch.tensor(0.1)], half * torch.tensor(0.1), "exact")
    cases.add("half_eq_scalar", "aten.eq.Scalar", [half, 0.1], half == 0.1, "exact")
    cases.add("remainder_scalar", "aten.remainder.Scalar", [torch.tensor([5.5, -5.5, 4.0]), 2],
              aten.remainder.Scalar(torch.tensor([5.5, -5.5, 4.0]), 2), "exact")


def casts(cases):
    x = torch.tensor([0.0, 1.0, -1.0, 2.5, 3.5, -2.7, 100.9, 1e-3])
    code = {torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.bfloat16: 15, torch.int8: 1, torch.uint8: 0,
            torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.bool: 11}
    for source in (torch.float32, torch.float16, torch.int32, torch.bool):
        for target, number in code.items():
            y = (x.abs() if target == torch.uint8 else x).to(source)
            cases.add(f"cast_{source}_{target}", "aten._to_copy.default", [y, number, None, None, None, False, None],
                      y.to(target), "exact")
    wide = torch.tensor([65503.9, 65519.9, 65520.0, -1e9, 6e-8, 2.9e-8, 3.1e-8, NAN, INF, 1.00048828125, 1.00146484375])
    cases.add("cast_to_half_rounds", "aten._to_copy.default", [wide, 5, None, None, None, False, None], wide.half(),
              "exact")
    ints = torch.tensor([300, -129, 2**31, 2**33 + 7])
    for target, number in ((torch.int8, 1), (torch.uint8, 0), (torch.int32, 3)):
        cases.add(f"cast_wraps_{target}", "aten._to_copy.default", [ints, number, None, None, None, False, None],
                  ints.to(target), "exact")


def views(cases):
    x = cases.ints(-99, 99, 2, 3, 4, dtype=torch.int32)
    half = cases.randn(3, 5).half()

    def add(name, op, function, args):
        outs = function(*args)
        cases.add(name, op, args, list(outs) if isinstance(outs, (list, tuple)) else outs, "exact")

    add("view", "aten.view_copy.default", aten.view_copy.default, [x, [4, -1]])
    add("view_scalar", "aten.view_copy.default", aten.view_copy.default, [x[:1, :1, :1].contiguous(), []])
    add("unsqueeze", "aten.unsqueeze_copy.default", aten.unsqueeze_copy.default, [x, -1])
    y = x.reshape(2, 1, 12, 1)
    add("squeeze_dim", "aten.squeeze_copy.dim", aten.squeeze_copy.dim, [y, 1])
    add("squeeze_dim_not_one", "aten.squeeze_copy.dim", aten.squeeze_copy.dim, [y, 0])
    add("squeeze_dims", "aten.squeeze_copy.dims", aten.squeeze_copy.dims, [y, [-1, 1, 0]])
    add("permute", "aten.permute_copy.default", aten.permute_copy.default, [x, [2, 0, -2]])
    add("transpose", "aten.transpose_copy.int", aten.transpose_copy.int, [x, 0, -1])
    add("t", "aten.t_copy.default", aten.t_copy.default, [half])
    add("expand", "aten.expand_copy.default", lambda a, s, i: aten.expand_copy.default(a, s), [half[:, :1].contiguous(), [2, -1, 4], False])
    for i, args in enumerate([[x, 1, 1, None, 1], [x, -1, -3, -1, 1], [x, 2, None, 2**63 - 1, 3], [x, 1, 2, 1, 1],
                              [x, 2, -100, 100, 2]]):
        add(f"slice_{i}", "aten.slice_copy.Tensor", aten.slice_copy.Tensor, args)
    add("select", "aten.select_copy.int", aten.select_copy.int, [x, 1, -1])
    add("repeat", "aten.repeat.default", aten.repeat.default, [half, [2, 1, 3]])
    add("repeat_interleave", "aten.repeat_interleave.self_int", lambda a, r, d, o: aten.repeat_interleave.self_int(a, r, d),
        [x, 2, 1, None])
    add("repeat_interleave_flat", "aten.repeat_interleave.self_int",
        lambda a, r, d, o: aten.repeat_interleave.self_int(a, r, d), [half, 3, None, None])
    add("flip", "aten.flip.default", aten.flip.default, [x, [0, -1]])
    add("unfold", "aten.unfold_copy.default", aten.unfold_copy.default, [x, 2, 2, 1])
    add("roll", "aten.roll.default", aten.roll.default, [x, [1, -6], [0, 2]])
    add("roll_flat", "aten.roll.default", aten.roll.default, [x, [5], []])
    add("pad", "aten.constant_pad_nd.default", aten.constant_pad_nd.default, [half, [1, 2, -1, 1], 0.5])
    add("pad_int", "aten.constant_pad_nd.default", aten.constant_pad_nd.default, [x, [0, 3], -7])
    image = cases.randn(1, 2, 3, 4)
    add("replication_pad2d", "aten.replication_pad2d.default", aten.replication_pad2d.default, [image, [1, 2, 3, 1]])
    add("reflection_pad2d", "aten.reflection_pad2d.default", aten.reflection_pad2d.default, [image, [1, 3, 2, 2]])
    add("split", "aten.split_copy.Tensor", aten.split_copy.Tensor, [x, 3, 2])
    add("split_sizes", "aten.split_with_sizes_copy.default", aten.split_with_sizes_copy.default, [x, [1, 0, 2], 1])
    add("unbind", "aten.unbind_copy.int", aten.unbind_copy.int, [x, 1])
    add("cat", "aten.cat.default", aten.cat.default, [[x, x[:, :1].contiguous()], -2])
    add("cat_skips_empty", "aten.cat.default", aten.cat.default, [[torch.zeros(0), half.float(), half.float()], 0])
    add("cat_promotes", "aten.cat.default", aten.cat.default, [[half, torch.ones(2, 5, dtype=torch.int32)], 0])
    add("select_scatter", "aten.select_scatter.default", aten.select_scatter.default,
        [x, torch.zeros(2, 4, dtype=torch.int32), 1, -2])
    add("slice_scatter", "aten.slice_scatter.default", aten.slice_scatter.default,
        [x, torch.zeros(2, 3, 2, dtype=torch.int32), 2, 1, None, 2])
    add("tril", "aten.tril.default", aten.tril.default, [x, -1])
    add("triu", "aten.triu.default", aten.triu.default, [half, 1])
    src = torch.arange(4.0)
    cases.add("copy_inplace", "aten.copy_.default", [x, src, False], src.to(torch.int32).expand(2, 3, 4), "exact",
              {0: src.to(torch.int32).expand(2, 3, 4)})
    cases.add("copy", "aten.copy.default", [x, src, False], aten.copy.default(x, src), "exact")


def filled(cases):
    dtype4 = [None, None, None, None]
    cases.add("full", "aten.full.default", [[2, 3], 7, *dtype4], torch.full((2, 3), 7), "exact")
    cases.add("full_float", "aten.full.default", [[2], 0.1, *dtype4], torch.full((2,), 0.1), "exact")
    cases.add("full_half", "aten.full.default", [[2], 0.1, 5, None, None, None], torch.full((2,), 0.1).half(), "exact")
    cases.add("full_inf", "aten.full.default", [[], -INF, *dtype4], torch.full((), -INF), "exact")
    cases.add("zeros", "aten.zeros.default", [[0, 3], *dtype4], torch.zeros(0, 3), "exact")
    cases.add("ones_like", "aten.ones_like.default", [torch.zeros(3, dtype=torch.int8), *dtype4, None],
              torch.ones(3, dtype=torch.int8), "exact")
    cases.add("scalar_tensor", "aten.scalar_tensor.default", [2.5, *dtype4], torch.tensor(2.5), "exact")
    cases.add("fill", "aten.fill.Scalar", [torch.zeros(3, dtype=torch.int32), 2.0],
              torch.full((3,), 2, dtype=torch.int32), "exact")
    for start, end, step in [(0, 5, 1), (2, 11, 3), (10, 0, -4), (0.0, 1.0, 0.1), (1, 2.5, 1), (3, 3, 1)]:
        y = torch.arange(start, end, step)
        cases.add(f"arange_{start}_{end}_{step}", "aten.arange.start_step", [start, end, step, *dtype4], y, rule(y.dtype))


def indices(cases):
    x = cases.randn(4, 5, 3)
    i, j = torch.tensor([3, -1, 0]), torch.tensor([[1], [-5]])
    for name, index in [("first", [i]), ("second", [None, i]), ("two", [i, j]), ("apart", [i, None, torch.tensor([2, 0, 1])]),
                        ("last", [None, None, torch.tensor([[2, 0], [1, 1]])]), ("scalar", [torch.tensor(2)])]:
        cases.add(f"index_{name}", "aten.index.Tensor", [x, index], aten.index.Tensor(x, index), "exact")
        values = aten.index.Tensor(x, index)
        for accumulate in (False, True):
            new = cases.randn(*values.shape)
            y = aten.index_put.default(x, index, new, accumulate)
            cases.add(f"index_put_{name}_{accumulate}", "aten.index_put.default", [x, index, new, accumulate], y, "round")
    cases.add("index_put_broadcast", "aten.index_put.default", [x, [None, i], torch.tensor(9.0), False],
              aten.index_put.default(x, [None, i], torch.tensor(9.0), False), "exact")
    y = torch.zeros(4, dtype=torch.int64)
    again = torch.tensor([1, 1, 3, 1])
    cases.add("index_put_adds_again", "aten.index_put.default", [y, [again], torch.tensor([1, 2, 3, 4]), True],
              aten.index_put.default(y, [again], torch.tensor([1, 2, 3, 4]), True), "exact")
    cases.call("index_select", "aten.index_select.default", aten.index_select.default, [x, 1, torch.tensor([4, 0, 4])],
               "exact")
    cases.call("index_copy", "aten.index_copy.default", aten.index_copy.default,
               [x, -2, torch.tensor([4, 0]), cases.randn(4, 2, 3)], "exact")
    for dim in (0, 1, -1):
        g = torch.randint(0, (4, 5, 3)[dim], (2, 3, 3), generator=cases.generator)
        cases.add(f"gather_{dim}", "aten.gather.default", [x, dim, g, False], aten.gather.default(x, dim, g), "exact")
        s = g[:, :, :1].contiguous()
        src = cases.randn(3, 3, 2)
        cases.add(f"scatter_{dim}", "aten.scatter.src", [x, dim, s, src], aten.scatter.src(x, dim, s, src), "exact")


def reductions(cases):
    x = cases.randn(2, 3, 4)
    n = cases.ints(-50, 50, 2, 3, 4, dtype=torch.int32)
    odd = torch.tensor([[1.0, NAN, 2.0], [INF, 1.0, -INF], [3.0, 3.0, 1.0]])
    for dims, keep in [([1], False), ([-1], True), ([0, 2], False), (None, True), ([2, 1], True)]:
        text = f"{dims}_{keep}".replace(" ", "").replace(",", "_")
        for name in ("mean.dim", "sum.dim_IntList"):
            cases.add(f"{name}_{text}", f"aten.{name}", [x, dims, keep, None], packet(name)(x, dims, keep), "sum")
        cases.add(f"sum_int_{text}", "aten.sum.dim_IntList", [n, dims, keep, None], aten.sum.dim_IntList(n, dims, keep),
                  "exact")
        some = [] if dims is None else dims
        for name in ("amax.default", "amin.default"):
            cases.call(f"{name}_{text}", f"aten.{name}", packet(name), [x, some, keep], "exact")
        cases.add(f"var_{text}", "aten.var.correction", [x, dims, None, keep],
                  aten.var.correction(x, dims, keepdim=keep), "sum")
        cases.add(f"std_{text}", "aten.std.correction", [x, dims, 0, keep],
                  aten.std.correction(x, dims, correction=0, keepdim=keep), "sum")
        cases.add(f"var_dim_{text}", "aten.var.dim", [x, dims, False, keep], aten.var.dim(x, dims, False, keep), "sum")
        for order in (2, 1, 0, INF, -INF, 3.0, 0.5):
            cases.add(f"norm_{order}_{text}", "aten.linalg_vector_norm.default", [x, order, dims, keep, None],
                      aten.linalg_vector_norm.default(x, order, dims, keep), "sum")
    for name in ("mean", "sum"):
        cases.add(name, f"aten.{name}.default", [x, None], packet(f"{name}.default")(x), "sum")
        cases.add(f"{name}_half", f"aten.{name}.default", [x.half(), None], packet(f"{name}.default")(x.half()), "f16")
    cases.add("sum_bool", "aten.sum.default", [x > 0, None], aten.sum.default(x > 0), "exact")
    cases.add("sum_dtype", "aten.sum.default", [n, 6], aten.sum.default(n, dtype=torch.float32), "exact")
    cases.add("mean_dtype", "aten.mean.default", [n, 6], aten.mean.default(n, dtype=torch.float32), "sum")
    for name in ("max", "min"):
        for y in (x, n, odd):
            cases.call(f"{name}_{y.dtype}_{y.dim()}", f"aten.{name}.default", packet(f"{name}.default"), [y], "exact")
        for y, dim, keep in ((x, 1, False), (n, -1, True), (odd, 0, False), (odd, 1, False), (torch.tensor(4.0), 0, False)):
            outs = packet(f"{name}.dim")(y, dim, keep)
            cases.add(f"{name}_dim_{y.dtype}_{y.dim()}_{dim}", f"aten.{name}.dim", [y, dim, keep], list(outs), "exact")
    for name in ("argmax", "argmin"):
        for y, dim, keep in ((x, None, False), (x, 1, True), (n, -1, False), (odd, 1, False), (odd, 0, False)):
            cases.call(f"{name}_{y.dtype}_{y.dim()}_{dim}", f"aten.{name}.default", packet(f"{name}.default"),
                       [y, dim, keep], "exact")
    cases.add("prod", "aten.prod.dim_int", [x, 1, False, None], aten.prod.dim_int(x, 1), "sum")
    cases.add("prod_int", "aten.prod.dim_int", [n, 2, True, None], aten.prod.dim_int(n, 2, True), "exact")
    for y in (x > 0.8, odd, n.to(torch.uint8)):
        cases.call(f"any_{y.dtype}", "aten.any.default", aten.any.default, [y], "exact")
        cases.call(f"any_dim_{y.dtype}", "aten.any.dim", aten.any.dim, [y, -1, False], "exact")
        cases.call(f"all_dim_{y.dtype}", "aten.all.dim", aten.all.dim, [y, 0, True], "exact")
    empty = torch.zeros(2, 0)
    cases.add("sum_of_nothing", "aten.sum.dim_IntList", [empty, [1], False, None], aten.sum.dim_IntList(empty, [1]), "exact")
    cases.add("mean_of_nothing", "aten.mean.dim", [empty, [1], False, None], aten.mean.dim(empty, [1]), "exact")
    one = torch.ones(3, 1)
    cases.add("var_of_one", "aten.var.correction", [one, [1], None, False], aten.var.correction(one, [1]), "exact")


def scans(cases):
    x = cases.randn(3, 4)
    for dim in (0, -1):
        cases.add(f"cumsum_{dim}", "aten.cumsum.default", [x, dim, None], aten.cumsum.default(x, dim), "sum")
    b = x > 0
    cases.add("cumsum_bool", "aten.cumsum.default", [b, 1, None], aten.cumsum.default(b, 1), "exact")
    odd = torch.tensor([[2.0, NAN, -1.0, INF, 2.0], [0.0, -INF, 5.0, NAN, 1.0]])
    for y in (x, odd, cases.ints(-9, 9, 3, 4, dtype=torch.int32)):
        for down in (False, True):
            outs = torch.sort(y, dim=1, descending=down, stable=True)
            cases.add(f"sort_{y.dtype}_{down}", "aten.sort.default", [y, 1, down], list(outs), "exact")
    for largest in (True, False):
        cases.call(f"topk_{largest}", "aten.topk.default", aten.topk.default, [x, 2, 0, largest, True], "exact")
    cases.call("topk_nan", "aten.topk.default", aten.topk.default, [odd, 2, -1, True, True], "exact")


def write_all(folder):
    files = {
        "unary": [unary], "binary": [binary, broadcasting], "types": [types, casts], "views": [views, filled],
        "indexing": [indices], "reductions": [reductions, scans],
    }
    for seed, (name, makers) in enumerate(files.items(), 100):
        cases = Cases(seed)
        for make in makers:
            make(cases)
        cases.write(folder / f"{name}.txt")
