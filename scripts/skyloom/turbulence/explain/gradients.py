"""Saliency and integrated gradients of a network, before and after its weights are randomised.

Saliency is |d output / d pixel| (Simonyan+ 2013). Integrated gradients (Sundararajan+ 2017) share
the difference between the output for the image and that for an empty one among the pixels,
completely. A map that does not change with new weights shows the image, not what was learned
(Adebayo+ 2018). Weights are randomised from the head down, and after each layer the maps are
compared with those of the trained network.

The output is the logit of the steeper class, or the normalised index, as the mean of the eight
views of an image.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
import xarray as xr
from scipy.stats import rankdata
from torch import Tensor, nn

Output = Callable[[Tensor], Tensor]
LAYERS = {"convolution": nn.Conv2d, "dense": nn.Linear}


def output_of(task: nn.Module) -> Output:
    """Images (n, 1, y, x) -> (n,), the mean over views of the first output."""
    return lambda images: task.outputs(images)[..., 0].mean(0)


def saliency(output: Output, images: Tensor) -> Tensor:
    """|d output / d pixel|, (n, 1, y, x)."""
    return _gradient(output, images).abs()


def integrated_gradients(output: Output, images: Tensor, steps: int) -> Tensor:
    """Attributions (n, 1, y, x) whose sum is output(image) - output(0).

    By the midpoint rule along the straight path. Steps are shorter near the empty image, where the
    output changes fastest because of the norms in a network.
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
    """(layer, network), with weights drawn anew layer by layer from the head down, in place.

    Layers are named `convolution 1`, `dense 1` ..., counted from the image.
    """
    network = copy.deepcopy(task)
    modules = [module for part in (network.encoder, network.head) for module in part.modules()]
    # norms have no weights that are drawn
    layers = {
        f"{word} {number}": layer
        for word, kind in LAYERS.items()
        for number, layer in enumerate([m for m in modules if isinstance(m, kind)], start=1)
    }
    layers = sorted(layers.items(), key=lambda item: modules.index(item[1]), reverse=True)
    cuda = [p.device for p in network.parameters() if p.is_cuda][:1]
    for name, layer in layers:
        with torch.random.fork_rng(cuda):
            torch.manual_seed(seed)
            seed += 1
            layer.reset_parameters()
        yield name, network


def explained(task: nn.Module, images: np.ndarray, steps: int, seed: int) -> xr.Dataset:
    """Maps of some images (n, y, x), and their dependence on the weights.

    `saliency`, `integrated` (shown, y, x), and `_randomised`, those of a network with all weights
    drawn anew; `output (shown)`; `missing (shown)`: sum of the attributions less output - output(0)
    over the sum of their moduli; `rank_saliency`, `rank_integrated (layer, shown)`: Spearman's
    correlation of |map| with that of the trained network.
    """
    task.eval()
    device = next(task.parameters()).device
    x = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None].to(device)

    def maps(network: nn.Module) -> dict[str, np.ndarray]:
        output = output_of(network)
        attributions = integrated_gradients(output, x, steps)
        tensors = {"saliency": saliency(output, x), "integrated": attributions}
        return {name: values[:, 0].double().cpu().numpy() for name, values in tensors.items()}

    trained, ranks, layers, drawn = maps(task), {"saliency": [], "integrated": []}, [], {}
    for layer, network in randomised(task, seed):
        drawn = maps(network)
        layers.append(layer)
        for name, rows in ranks.items():
            rows.append(rank_correlation(np.abs(trained[name]), np.abs(drawn[name])))
    with torch.no_grad():
        output = output_of(task)(x).double().cpu().numpy()
        empty = output_of(task)(torch.zeros_like(x)).double().cpu().numpy()
    total = trained["integrated"].sum((1, 2))
    missing = (total - output + empty) / np.abs(trained["integrated"]).sum((1, 2))
    planes = {"image": images, **trained}
    planes |= {f"{name}_randomised": values for name, values in drawn.items()}
    variables = {
        name: (("shown", "y", "x"), values.astype(np.float32)) for name, values in planes.items()
    }
    for name, rows in ranks.items():
        variables[f"rank_{name}"] = ("layer", "shown"), np.array(rows)
    variables |= {"output": ("shown", output), "missing": ("shown", missing)}
    return xr.Dataset(variables, coords={"layer": layers})


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of two maps over the pixels of each image, (n,); NaN: a flat map."""
    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (a, b)]
    first, second = (r - r.mean(1, keepdims=True) for r in ranks)
    with np.errstate(invalid="ignore"):
        return (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))
