"""Writes tests/golden/pt2: small exported programs, and for each what torch says is in it.

    python tools/golden/make_pt2.py tests/golden/pt2

NAME.pt2 is what torch.export.save writes (or an older layout of it), NAME.txt the facts that
tests/pt2/test_pt2_read.c compares with what it reads:

    input NAME DTYPE [SIZES]        user inputs in order; sizes as sympy prints them
    output NAME                     user outputs in order; a number, string or None: literal
    writes NAME VALUE               buffers that the program writes, of functional programs
    range SYMBOL MIN MAX            "-": none
    weight NAME DTYPE [SIZES] CRC   placeholders in order; CRC32 of the contiguous bytes
    tied NAME NAME                  two placeholders of the same view of the same storage
    node TARGET OUTPUTS             in order; regions inlined, checks left out
    sample DTYPE [SIZES] CRC
"""

import json
import sys
import warnings
import zipfile
import zlib

warnings.filterwarnings("ignore")

import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch.export import Dim, export, save  # noqa: E402

OUT = sys.argv[1]


# ---- programs ------------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return F.relu(self.fc(x))


class Tied(nn.Module):
    """Embedding and output layer share their weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.embed(ids))


class Views(nn.Module):
    """Parameters and buffers that look into one storage, with strides and offsets; a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        base = torch.arange(24.0).reshape(4, 6)
        self.w = nn.Parameter(base)
        self.register_buffer("turned", base.t())
        self.register_buffer("part", base[1:3, 2:5])
        self.register_buffer("row", base[2])
        self.register_buffer("scratch", torch.arange(6, dtype=torch.int16).reshape(2, 3).t(), persistent=False)

    def forward(self, x):
        return x @ self.w + self.turned.sum() + self.part.sum() + self.row + self.scratch.sum()


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x, y):
        z = self.fc(torch.cat([x, y], 0))
        return z.reshape(z.shape[0] * 2, -1)[: x.shape[0]], {"mean": z.mean(), "size": x.shape[0] * 3}


class ConvBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.bn(self.conv(x)), inplace=True), 2).flatten(1)


class Scalars(nn.Module):
    """Numbers, strings and None among inputs and outputs; integers and bools; non-finite floats."""

    def forward(self, i, b, flag=True, scale=0.5, name="x", none=None):
        x = torch.where(b, i * 2, i).to(torch.float32) * scale
        x = torch.clamp(x.masked_fill(b, float("-inf")), min=-float("inf"), max=float("inf"))
        return x * float("nan"), i.to(torch.int32), 7, None


class Regions(nn.Module):
    """no_grad and disabled autocast wrap parts of the graph."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            y = x * 2
        with torch.no_grad():
            y = self.fc(y)
        return y + x


class Cache(nn.Module):
    """A buffer that the program writes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(1, 6, 2))

    def forward(self, x, position):
        self.cache.index_copy_(1, position, x)
        return self.cache * 2


class Lists(nn.Module):
    """Nested inputs, tensor lists, lists of optional tensors, operators qvk does not know."""

    def forward(self, x, d):
        a, b = torch.split(x, 2, dim=0)
        index = torch.tensor([0, 1])
        values, places = torch.topk(x, 2)
        return [a + b, (torch.chunk(d["k"][0], 2, -1)[1],)], x[:, index], values, places, torch.linalg.det(x[:, :4])


class Cond(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 4).half())
        self.empty = nn.Parameter(torch.zeros(0, 4, dtype=torch.bfloat16))
        self.one = nn.Parameter(torch.tensor(2.5, dtype=torch.float64))

    def forward(self, x):
        y = (x.half() @ self.w).to(torch.bfloat16)
        return torch.cat([y, self.empty]) * self.one.to(torch.bfloat16)


# ---- facts ---------------------------------------------------------------------------------------------------------

DTYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float64: "float64",
          torch.int8: "int8", torch.uint8: "uint8", torch.int16: "int16", torch.int32: "int32",
          torch.int64: "int64", torch.bool: "bool"}
DROPPED = ("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range")


def crc(tensor):
    data = tensor.detach().contiguous().cpu()
    return f"{zlib.crc32(data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b''):08x}"


def shape(sizes):
    return "[" + ", ".join(str(s).replace(" ", "") for s in sizes) + "]"


def literal(value):
    return f"'{value}'" if isinstance(value, str) else str(value)


def nodes_of(module):
    """(target, names of outputs) with regions inlined, as text lines."""
    for node in module.graph.nodes:
        if node.op != "call_function" or "getitem" in str(node.target):
            continue
        target = str(node.target)
        if any(name in target for name in DROPPED):
            continue
        if target in ("wrap_with_set_grad_enabled", "wrap_with_autocast"):
            inner = next(a for a in node.args if isinstance(a, torch.fx.Node) and a.op == "get_attr")
            yield from nodes_of(getattr(module, inner.target))
            continue
        items = [u for u in node.users if "getitem" in str(u.target)]
        count = len(node.meta["val"]) if isinstance(node.meta.get("val"), (tuple, list)) else 1
        target = target.replace("detach_", "detach")  # the same on what it is used for: lifted constants
        yield f"node {target.replace('_operator.', '').replace('<built-in function ', '').rstrip('>')} {max(count, len(items))}"


def facts(ep, samples):
    lines = []
    signature = ep.graph_signature
    tensors = {**ep.state_dict, **ep.constants}
    values = {n.name: n.meta.get("val") for n in ep.graph.nodes}
    weights = []
    for spec in signature.input_specs:
        kind = spec.kind.name
        if kind == "USER_INPUT" and spec.arg.name and isinstance(values.get(spec.arg.name), torch.Tensor):
            value = values[spec.arg.name]
            lines.append(f"input {spec.arg.name} {DTYPES[value.dtype]} {shape(value.shape)}")
        elif kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            weights.append((spec.target, tensors[spec.target]))
    for spec in signature.output_specs:
        name = getattr(spec.arg, "name", "")
        if spec.kind.name == "BUFFER_MUTATION":
            lines.append(f"writes {spec.target} {name}")
        else:
            lines.append(f"output {name}" if name else f"literal {literal(spec.arg.value)}")
    for symbol, bounds in ep.range_constraints.items():
        low, high = str(bounds.lower), str(bounds.upper)
        lines.append(f"range {symbol} {low if low.lstrip('-').isdigit() else '-'} {high if high.isdigit() else '-'}")
    for name, tensor in weights:
        lines.append(f"weight {name} {DTYPES[tensor.dtype]} {shape(tensor.shape)} {crc(tensor)}")
    for i, (name, tensor) in enumerate(weights):
        for other, same in weights[:i]:
            if (tensor.numel() and tensor.data_ptr() == same.data_ptr() and tensor.shape == same.shape
                    and tensor.stride() == same.stride()):
                lines.append(f"tied {other} {name}")
    lines.extend(nodes_of(ep.graph_module))
    for leaf in torch.utils._pytree.tree_leaves(samples):
        if isinstance(leaf, torch.Tensor):
            lines.append(f"sample {DTYPES[leaf.dtype]} {shape(leaf.shape)} {crc(leaf)}")
    return "\n".join(lines) + "\n"


# ---- files ---------------------------------------------------------------------------------------------------------


def anonymous(module):
    """Stack traces without the folders of this machine."""
    for node in module.graph.nodes:
        if "stack_trace" in node.meta:
            lines = node.meta["stack_trace"].replace("\\", "/").split("\n")
            for i, line in enumerate(lines):
                if 'File "/' in line and "site-packages/" in line:
                    lines[i] = line.split('File "')[0] + 'File "site-packages/' + line.split("site-packages/", 1)[1]
                elif 'File "/' in line:
                    path, rest = line.split('File "')[1].split('"', 1)
                    lines[i] = line.split('File "')[0] + 'File "' + path.rsplit("/", 1)[1] + '"' + rest
            node.meta["stack_trace"] = "\n".join(lines)
        node.meta.pop("from_node", None)
    for child in module.children():
        if isinstance(child, torch.fx.GraphModule):
            anonymous(child)
    return module


def program(module, args, kwargs=None, **options):
    ep = export(module.eval(), args, kwargs, **options)
    anonymous(ep.graph_module)
    return ep


def write(name, ep, args, kwargs=None):
    save(ep, f"{OUT}/{name}.pt2")
    with open(f"{OUT}/{name}.txt", "w") as file:
        file.write(facts(ep, (args, kwargs or {})))


def write_legacy(name, ep, args, old_names=False, plain_symbols=False):
    """The layout of torch 2.1 to 2.7."""
    from torch._export.serde.serialize import serialize

    artifact = serialize(ep)
    document = json.loads(artifact.exported_program)
    if plain_symbols:
        text = json.dumps(document)
        for symbol in ep.range_constraints:
            text = text.replace(f"Symbol('{symbol}', positive=True, integer=True)", str(symbol))
        document = json.loads(text)
        for node in document["graph_module"]["graph"]["nodes"]:
            for key in ("name", "is_hop_single_tensor_return"):
                node.pop(key, None)
            for argument in node["inputs"]:
                argument.pop("kind", None)
        for key in ("guards_code", "torch_version"):
            document.pop(key, None)
        document["schema_version"] = {"major": 8, "minor": 1}
    ending = "json" if old_names else "pt"
    with zipfile.ZipFile(f"{OUT}/{name}.pt2", "w") as file:
        file.writestr("version", "8.1")
        file.writestr("serialized_exported_program.json", json.dumps(document))
        file.writestr(f"serialized_state_dict.{ending}", artifact.state_dict)
        file.writestr(f"serialized_constants.{ending}", artifact.constants)
        if not old_names:
            file.writestr("serialized_example_inputs.pt", artifact.example_inputs)
    with open(f"{OUT}/{name}.txt", "w") as file:
        file.write(facts(ep, () if old_names else args))


def write_subclass(name):
    """A torchao weight that was not unwrapped: pickled, read through access_subclass_inner_tensor."""
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    model = nn.Sequential(nn.Linear(8, 2))
    config = Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4, weight_granularity=PerGroup(4))
    quantize_(model, config)
    args = (torch.randn(3, 8),)
    ep = program(model, args)
    save(ep, f"{OUT}/{name}.pt2")
    weight = ep.state_dict["0.weight"]
    lines = ["input input float32 [3, 8]", "output linear"]
    for i, inner in enumerate(("qdata", "scale", "zero_point")):
        tensor = getattr(weight, inner)
        lines.append(f"weight 0.parametrizations.weight.original{i} {DTYPES[tensor.dtype]} {shape(tensor.shape)} {crc(tensor)}")
    bias = ep.state_dict["0.bias"]
    lines.append(f"weight 0.bias {DTYPES[bias.dtype]} {shape(bias.shape)} {crc(bias)}")
    lines.extend(line for line in nodes_of(ep.graph_module) if "access_subclass" not in line)
    lines.append(f"sample float32 [3, 8] {crc(args[0])}")
    with open(f"{OUT}/{name}.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    torch.manual_seed(0)
    x = torch.randn(2, 4)
    write("linear", program(Linear(), (x,)), (x,))
    ids = torch.tensor([[1, 2, 7]])
    write("tied", program(Tied(), (ids,)), (ids,))
    write("views", program(Views(), (x,)), (x,))
    batch = Dim("batch", min=2, max=16)
    pair = (torch.randn(3, 4), torch.randn(3, 4))
    dynamic = program(Dynamic(), pair, dynamic_shapes=({0: batch}, {0: batch}))
    write("dynamic", dynamic, pair)
    other = (torch.randn(3, 4), torch.randn(5, 4))
    write("unbounded", program(Dynamic(), other, dynamic_shapes=({0: Dim.AUTO}, {0: Dim.AUTO})), other)
    image = torch.randn(1, 2, 8, 8)
    write("conv_bn", program(ConvBn(), (image,)), (image,))
    numbers = (torch.arange(6).reshape(2, 3), torch.tensor([[True, False, True], [False, False, True]]))
    named = {"flag": True, "scale": 0.25, "name": "y", "none": None}
    write("scalars", program(Scalars(), numbers, named), numbers, named)
    write("regions", program(Regions(), (x,)), (x,))
    step = (torch.randn(1, 2, 2), torch.tensor([1, 2]))
    cache = program(Cache(), step)
    write("cache", cache, step)
    functional = cache.run_decompositions({})
    anonymous(functional.graph_module)
    write("cache_functional", functional, step)
    nested = (torch.randn(4, 6), {"k": [torch.randn(2, 4)], "z": torch.ones(1)})
    write("lists", program(Lists(), nested), nested)
    write("half", program(Half(), (x,)), (x,))
    write_subclass("subclass")
    write_legacy("legacy", dynamic, pair)
    write_legacy("legacy_oldest", dynamic, pair, old_names=True, plain_symbols=True)
    three = (torch.randn(3),)
    save(program(Cond(), three), f"{OUT}/cond.pt2")


main()
