"""The scheme of a network: its layers and their shapes, described from its checkpoint and drawn.

The description, JSON beside the figure, is made by following an image through the trained module
(torch.fx); layers that act on one number at a time (activations, dropout, norms) stand with the
layer before them.
"""

import importlib
import json
from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from skyloom import checkpoint, cli, plotting
from skyloom.patchset import PatchSet
from skyloom.turbulence.figures import scheme

KINDS = {
    nn.Conv2d: "convolution",
    nn.Linear: "dense",
    nn.MaxPool2d: "pooling",
    nn.AvgPool2d: "pooling",
    nn.AdaptiveAvgPool2d: "pooling",
}
WORDS = {
    "Conv2d": "convolution",
    "MaxPool2d": "max pooling",
    "AvgPool2d": "average pooling",
    "Linear": "dense",
}
WORDS |= {
    "ResidualBlock": "residual block",
    "mean": "mean over the image",
    "cat": "joined",
    "Flatten": "flattened",
}
POINTWISE = (
    nn.ReLU,
    nn.SiLU,
    nn.GELU,
    nn.Dropout,
    nn.Dropout2d,
    nn.GroupNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
)
POINTWISE += (nn.LayerNorm, nn.Identity)
# operations without a box
UNSEEN = (
    "float",
    "getitem",
    "getattr",
    "size",
    "shape",
    "to",
    "unsqueeze",
    "squeeze",
    "sub",
    "truediv",
)


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='{"entry": {...}}, the model\'s'
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.ckpt")
    parser.add_argument(
        "--patches",
        type=Path,
        required=True,
        help="patches.nc of its set, of which the kind of data",
    )
    parser.add_argument("--description", type=Path, required=True, help=".json")
    parser.add_argument("--output", type=Path, required=True, help=".png; the .pdf lies beside it")
    args = parser.parse_args()

    trained = checkpoint.load(
        args.checkpoint, {"study": "turbulence", "entry": args.config["entry"]}
    )
    network = importlib.import_module(f"skyloom.turbulence.models.{trained['module']}")
    task = network.make_task(trained["entry"], trained["meta"])
    about = {"model": trained["model"], "module": trained["module"]}
    description = about | describe(task, trained["meta"]["pixels"])
    with cli.atomic(args.description) as part:
        part.write_text(json.dumps(description, indent=1) + "\n")
    plotting.save(
        scheme.scheme(description), args.output, PatchSet(args.patches).attrs["data_kind"]
    )


class Layers(fx.Tracer):
    """Follows an image into what is made of layers; torch's own, the house's blocks and statistics
    are one box each.
    """

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        block = type(module).__module__.endswith(".blocks") or not list(module.children())
        return not isinstance(module, nn.Sequential) and (
            block or type(module).__module__.startswith("torch.")
        )


def describe(task: nn.Module, pixels: int) -> dict:
    """`trained`, the number of parameters, and `layers` of `encoder` and `head`, as
    `figures.scheme` draws them.
    """
    path = nn.Sequential()
    path.encoder, path.head = task.encoder, task.head
    path.eval()
    graph = Layers().trace(path)
    ShapeProp(fx.GraphModule(path, graph)).propagate(torch.zeros(1, 1, pixels, pixels))
    modules = dict(path.named_modules())
    layers: dict[str, dict] = {}
    drawn: dict[fx.Node, str | None] = {}  # node -> the layer that it is part of
    for node in graph.nodes:
        of = list(dict.fromkeys(drawn[n] for n in node.all_input_nodes if drawn.get(n)))
        meta = node.meta.get("tensor_meta")
        module = modules[node.target] if node.op == "call_module" else None
        name = (
            type(module).__name__
            if module is not None
            else getattr(node.target, "__name__", str(node.target))
        )
        drawn[node] = of[0] if of else None
        if (
            node.op == "output"
            or not hasattr(meta, "shape")
            or (node.op != "placeholder" and not of)
        ):
            continue
        shape = list(meta.shape[1:])
        count = sum(p.numel() for p in module.parameters()) if module is not None else 0
        if len(of) == 1 and (isinstance(module, POINTWISE) or (module is None and name in UNSEEN)):
            before = layers[of[0]]
            before["shape"] = shape
            before["parameters"] += count
            if (
                isinstance(module, nn.ReLU | nn.SiLU | nn.GELU | nn.Dropout)
                and getattr(module, "p", 1) > 0
            ):
                before["text"] += (
                    f", {'dropout ' + format(module.p, 'g') if hasattr(module, 'p') else name}"
                )
            continue
        kind = "image" if node.op == "placeholder" else kind_of(module, name)
        layers[node.name] = {
            "name": node.name,
            "kind": kind,
            "text": "image" if kind == "image" else text_of(module, name),
            "shape": shape,
            "parameters": count,
            "of": of,
        }
        drawn[node] = node.name
    found = list(layers.values())
    found[-1]["kind"] = "answer"
    return {"trained": sum(p.numel() for p in path.parameters()), "layers": found}


def kind_of(module: nn.Module | None, name: str) -> str:
    """The kind of box: of a block that of its layers, of another module of the house
    `statistics`.
    """
    if module is None:
        return "pooling" if name == "mean" else "operation"
    if type(module) in KINDS:
        return KINDS[type(module)]
    if any(isinstance(part, nn.Conv2d) for part in module.modules()):
        return "convolution"
    return "operation" if type(module).__module__.startswith("torch.") else "statistics"


def text_of(module: nn.Module | None, name: str) -> str:
    """A layer's name for people, with its window."""
    window = getattr(module, "kernel_size", None)
    if window is None:
        return WORDS.get(name, name)
    side = window if isinstance(window, int) else window[0]
    return f"{WORDS.get(name, name)} {side} \N{MULTIPLICATION SIGN} {side}"


if __name__ == "__main__":
    cli.run(main)
