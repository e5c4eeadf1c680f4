"""Search a radio image for diffuse emission: probability, mask, sources, regions, clusters.

    python scripts/radio_search_image.py --config '{"image": {"path": "mosaic.fits"}}' \\
        --checkpoint best.ckpt --plan

With --plan it says what the search costs, and ends.
"""

import importlib
import sys
from pathlib import Path

import torch

from skyloom import checkpoint, cli
from skyloom.gpus import claim
from skyloom.networks.devices import to_device
from skyloom.radio.data import noise
from skyloom.radio.products import catalogue, tiles, write
from skyloom.radio.read import read_noise, read_stated


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"image", "entry", "views"'
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--core", type=int, default=tiles.CORE, help="side of a tile's core")
    parser.add_argument("--plan", action="store_true", help="say what it costs, and end")
    parser.add_argument("--output", type=Path, help="probability, FITS")
    for name in ("mask", "sources", "table", "regions", "clusters"):
        parser.add_argument(f"--output-{name}", type=Path)
    args = parser.parse_args()

    stated = args.config["image"]
    image = read_stated(stated)
    clusters = (
        catalogue.clusters(stated["clusters"], stated.get("columns", {}))
        if "clusters" in stated
        else None
    )
    given = read_noise(stated["noise"], image) if "noise" in stated else None
    expected = {"study": "radio"} | {k: args.config[k] for k in ("entry",) if k in args.config}
    trained = checkpoint.load(args.checkpoint, expected)
    low, high = trained["meta"]["beam_pixels"]
    if not low <= image.beam_pixels <= high:
        print(
            f"{image.path}: the beam has {image.beam_pixels:.1f} pixels; the network learned from"
            f" {low:.1f} to {high:.1f}. smooth_arcsec gives a wider beam",
            file=sys.stderr,
        )
    module = importlib.import_module(f"skyloom.radio.models.{trained['module']}")
    halo = module.halo_pixels(trained["entry"]) if hasattr(module, "halo_pixels") else None
    plan = tiles.plan(image.data.shape, trained["meta"]["pixels"], halo, args.core)
    claim(args.gpus)
    _, task = checkpoint.network(trained)
    device = next(task.parameters()).device

    views = tiles.of_views(task.probability, args.config.get("views", 1))

    def apply(batch: torch.Tensor) -> torch.Tensor:
        return views(to_device(batch, device))

    print(f"{image.path}: {plan.describe(tiles.operations(apply))}", flush=True)
    if args.plan:
        return

    torch.set_num_threads(args.threads)
    levels = noise.levels(image.data, image.beam_pixels, given)
    diffuse, other, spread = tiles.classify(image.data, levels, plan, apply, quiet=False)
    threshold = float(task.threshold)
    found = catalogue.sources(image, levels, diffuse, other, threshold)
    write.products(args, image, trained, diffuse, spread, threshold, found)
    verdicts = (
        catalogue.verdicts(
            clusters, image, levels, diffuse, other, threshold, stated.get("radius_arcmin", 5.0)
        )
        if clusters is not None
        else catalogue.no_clusters()
    )
    write.csv(verdicts, args.output_clusters)
    print(f"{len(found)} sources above a probability of {threshold:.2f}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main, gpus=True)
