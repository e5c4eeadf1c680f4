"""Saliency and integrated gradients of a network, and of the same network with its weights
randomised.

Saliency is |d output / d pixel| (Simonyan+ 2013); integrated gradients (Sundararajan+ 2017) share
out the difference between the output for the image and that for an empty one among the pixels,
completely. A map that survives when the weights are drawn anew shows the image and not what was
learned (Adebayo+ 2018): weights are randomised from the head down, and after each layer the maps
are compared with those of the trained network.

The output is what the answer is made of, before it: the logit of the steeper class, or the index in
deviations of the training set, the mean of an image's eight views.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
import xarray as xr
from scipy.stats import rankdata
from torch import Tensor, nn

Output = Callable[[Tensor], Tensor]


def output_of(task: nn.Module) -> Output:
    """Images (n, 1, y, x) -> (n,), the mean over views of the first output."""
    return lambda images: task.seen(images)[..., 0].mean(0)


def saliency(output: Output, images: Tensor) -> Tensor:
    """|d output / d pixel|, (n, 1, y, x)."""
    return _gradient(output, images).abs()


def integrated_gradients(output: Output, images: Tensor, steps: int) -> Tensor:
    """Attributions (n, 1, y, x) whose sum is output(image) - output(0), by the midpoint rule along
    the straight path.

    Steps are shorter near the empty image, since norms within a network make its output change
    fastest there.
    """
    total = torch.zeros_like(images)
    for step in range(steps):
        low, high = (step / steps) ** 2, ((step + 1) / steps) ** 2
        total += (high - low) * _gradient(output, (low + high) / 2 * images)
    return total * images


def _gradient(output: Output, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    return torch.autograd.grad(output(images).sum(), images)[0]


def randomised(task: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """(layer, network): the weights drawn anew layer by layer from the head down; one network,
    changed in place.
    """
    network = copy.deepcopy(task)
    layers = [
        (name, layer)
        for part in ("encoder", "head")
        for name, layer in getattr(network, part).named_modules(prefix=part)
        if isinstance(layer, nn.Linear | nn.Conv2d)  # norms have no weights that are drawn
    ]
    cuda = [p.device for p in network.parameters() if p.is_cuda][:1]
    for name, layer in reversed(layers):
        with torch.random.fork_rng(cuda):
            torch.manual_seed(seed)
            seed += 1
            layer.reset_parameters()
        yield name, network


def explained(task: nn.Module, images: np.ndarray, steps: int, seed: int) -> xr.Dataset:
    """Maps of some images (n, y, x), and how far they depend on what was learned.

    Returns `saliency`, `integrated` (shown, y, x), both of the network with all weights drawn anew
    too, with `_randomised`; `output (shown)`; `missing (shown)`, the attributions' sum less output
    - output(0), over the sum of their moduli; `rank_saliency`, `rank_integrated (layer, shown)`:
    Spearman's correlation of |map| with that of the trained network.
    """
    task.eval()
    device = next(task.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None].to(device)

    def maps(network: nn.Module) -> dict[str, np.ndarray]:
        output = output_of(network)
        found = {
            "saliency": saliency(output, x),
            "integrated": integrated_gradients(output, x, steps),
        }
        return {name: values[:, 0].double().cpu().numpy() for name, values in found.items()}

    own, ranks, layers, drawn = maps(task), {"saliency": [], "integrated": []}, [], None
    for layer, network in randomised(task, seed):
        drawn = maps(network)
        layers.append(layer)
        for name, rows in ranks.items():
            rows.append(rank_correlation(np.abs(own[name]), np.abs(drawn[name])))
    with torch.no_grad():
        output, empty = (
            output_of(task)(part).double().cpu().numpy() for part in (x, torch.zeros_like(x))
        )
    missing = (own["integrated"].sum((1, 2)) - output + empty) / np.abs(own["integrated"]).sum(
        (1, 2)
    )
    sky = ("shown", "y", "x")
    return xr.Dataset(
        {
            "image": (sky, images.astype(np.float32)),
            **{name: (sky, values.astype(np.float32)) for name, values in own.items()},
            **{
                f"{name}_randomised": (sky, values.astype(np.float32))
                for name, values in drawn.items()
            },
            **{
                f"rank_{name}": (("layer", "shown"), np.array(rows)) for name, rows in ranks.items()
            },
            "output": ("shown", output),
            "missing": ("shown", missing),
        },
        coords={"layer": layers},
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of two maps over the pixels of each image, (n,); NaN where one is
    flat.
    """
    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (a, b)]
    first, second = (r - r.mean(1, keepdims=True) for r in ranks)
    with np.errstate(invalid="ignore"):
        return (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))
