"""The layers of a network as a table: kind, shape, parameters and inputs, by torch.fx.

Layers that act on single numbers (activations, dropout, norms) belong to the layer before them.
Torch's own modules, `blocks` and modules without children are one layer each. A module may have a
`label`, its name in the figure.
"""

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from skyloom.networks.blocks import ResidualBlock, Upsample

WORDS = {
    nn.Conv2d: "convolution",
    nn.MaxPool2d: "max pooling",
    nn.AvgPool2d: "average pooling",
    nn.Linear: "dense",
    nn.Flatten: "flattened",
    Upsample: "upsampling",
    ResidualBlock: "residual block",
    "mean": "mean over the image",
    "cat": "joined",
    "interpolate": "interpolation",
}
KINDS = {
    nn.Linear: "dense",
    nn.MaxPool2d: "pooling",
    nn.AvgPool2d: "pooling",
    nn.AdaptiveAvgPool2d: "pooling",
    "mean": "pooling",
}
ACTIVATIONS = nn.ReLU, nn.SiLU, nn.GELU
DROPOUTS = nn.Dropout, nn.Dropout2d
NORMS = nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm
POINTWISE = *ACTIVATIONS, *DROPOUTS, *NORMS, nn.Identity
# functions without a box
HIDDEN = "float", "getitem", "getattr", "size", "shape", "to", "unsqueeze", "squeeze"
HIDDEN += "sub", "truediv"


class Layers(fx.Tracer):
    """Follows an image into modules that are made of layers."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        if isinstance(module, nn.Sequential):
            return False
        origin = type(module).__module__
        block = origin.startswith("torch.") or origin.endswith(".blocks")
        return block or not list(module.children())


def describe(network: nn.Module, shape: tuple[int, ...]) -> dict:
    """`trained`, the number of parameters, and `layers` in the order of their computation.

    network : a module whose `forward` takes one tensor (n, *shape)

    Each layer has `name`, `kind` (a key of `figures.scheme.COLOURS`), `text`, `shape` of its output
    without the batch, `parameters`, and `inputs`, the names of the layers before it.
    """
    network = network.eval()
    graph = Layers().trace(network)
    ShapeProp(fx.GraphModule(network, graph)).propagate(torch.zeros(1, *shape))
    modules = dict(network.named_modules())
    layers: dict[str, dict] = {}
    layer_of: dict[fx.Node, str] = {}
    for node in graph.nodes:
        inputs = [layer_of[n] for n in node.all_input_nodes if n in layer_of]
        inputs = list(dict.fromkeys(inputs))
        if inputs:
            layer_of[node] = inputs[0]
        meta = node.meta.get("tensor_meta")
        source = node.op == "placeholder"
        if node.op == "output" or not hasattr(meta, "shape") or not (inputs or source):
            continue
        module = modules[node.target] if node.op == "call_module" else None
        function = getattr(node.target, "__name__", str(node.target))
        hidden = isinstance(module, POINTWISE) if module is not None else function in HIDDEN
        if hidden and len(inputs) == 1:
            layer = layers[inputs[0]]
            layer["text"] += _suffix(module)
        else:
            kind, text = ("image", "image") if source else _description(module, function)
            layer = {"name": node.name, "kind": kind, "text": text, "parameters": 0}
            layer["inputs"] = inputs
            layers[node.name] = layer
            layer_of[node] = node.name
        layer["shape"] = list(meta.shape[1:])
        layer["parameters"] += _parameters(module) if module is not None else 0
    layer["kind"] = "output"
    return {"trained": _parameters(network), "layers": list(layers.values())}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _suffix(module: nn.Module | None) -> str:
    """Words that an activation or a dropout adds to the layer before it."""
    if isinstance(module, DROPOUTS):
        return f", dropout {module.p:g}" if module.p > 0 else ""
    return f", {type(module).__name__}" if isinstance(module, ACTIVATIONS) else ""


def _description(module: nn.Module | None, function: str) -> tuple[str, str]:
    """Kind and text of a layer."""
    if module is None:
        return KINDS.get(function, "operation"), WORDS.get(function, function)
    classes = type(module).__mro__
    name = getattr(module, "label", type(module).__name__)
    text = next((WORDS[c] for c in classes if c in WORDS), name)
    kind = next((KINDS[c] for c in classes if c in KINDS), None)
    if kind is None:
        convolution = any(isinstance(part, nn.Conv2d) for part in module.modules())
        builtin = type(module).__module__.startswith("torch.")
        kind = "convolution" if convolution else "operation" if builtin else "statistics"
    window = getattr(module, "kernel_size", None)
    if window is not None:
        side = window if isinstance(window, int) else window[0]
        text += f" {side} \N{MULTIPLICATION SIGN} {side}"
    return kind, text
