"""Search radio images for diffuse emission, one after the other: probability, mask, sources,
regions, clusters of each in its own folder.

    python scripts/radio_search_images.py --config '{"images": {"a": {"path": "mosaic.fits"}}}' \\
        --checkpoint best.ckpt --plan

With --plan it says what the search costs, and ends. An image that fails is noted in the output with
its error, and the next one begins. A search that was killed goes on with the first image whose
folder is not complete.
"""

import hashlib
import json
import sys
import traceback
from pathlib import Path

import torch

from skyloom import checkpoint, cli
from skyloom.finished import Finished
from skyloom.gpus import claim
from skyloom.networks.devices import to_device
from skyloom.provenance import file_checksum
from skyloom.radio import baselines
from skyloom.radio.data import noise
from skyloom.radio.products import catalogue, tiles, write
from skyloom.radio.read import Image, read_noise, read_stated


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help='"images", "entry", "views"'
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--code", type=Path, nargs="*", default=[], help="searched anew if edited")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--core", type=int, default=tiles.CORE, help="side of a tile's core")
    parser.add_argument("--plan", action="store_true", help="say what it costs, and end")
    parser.add_argument("--kept", type=Path, nargs="*", help="folder of each image, of its name")
    parser.add_argument("--output", type=Path, help="image -> its error or empty, JSON")
    args = parser.parse_args()

    views = args.config.get("views", 1)
    expected = {"study": "radio"} | {k: args.config[k] for k in ("entry",) if k in args.config}
    trained = checkpoint.load(args.checkpoint, expected)
    claim(args.gpus)
    torch.set_num_threads(args.threads)
    is_baseline = trained["kind"] == "baseline"
    searcher = Baseline(trained) if is_baseline else Network(trained, views, args.core)
    images = args.config["images"]
    if args.plan:
        for stated in images.values():
            searcher.plan(read_stated(stated))
        return

    files = [args.checkpoint, *args.code]
    common = [views, {str(path): file_checksum(path) for path in files}]
    errors = {}
    for folder in args.kept:
        stated = images[folder.name]
        kept = Finished(folder, identity(stated, common), tuple(map(Path, write.FILES)))
        if kept.exists():
            print(f"{folder.name}: searched before", flush=True)
            errors[folder.name] = ""
            continue
        try:
            search(stated, searcher, folder)
            kept.seal()
            errors[folder.name] = ""
        except Exception as error:
            if isinstance(error, OSError) and error.errno in cli.FULL:
                raise
            bad = isinstance(error, cli.BadInput)
            errors[folder.name] = str(error) if bad else f"{type(error).__name__}: {error}"
            traceback.print_exc()
    with cli.atomic(args.output) as part:
        part.write_text(json.dumps(errors, indent=1) + "\n")


class Network:
    """A network as what searches images."""

    def __init__(self, trained: dict, views: int, core: int):
        self.trained, self.core = trained, core
        self.module, task = checkpoint.network(trained)
        self.task = task
        self.device = next(task.parameters()).device
        self.probability = tiles.of_views(task.probability, views)

    def threshold(self, image: Image) -> float:
        return float(self.task.threshold(image.beam_arcsec))

    def plan(self, image: Image) -> tiles.Plan:
        """The tiles of an image; their cost is printed."""
        low, high = self.trained["meta"]["beam_pixels"]
        pixels = self.trained["meta"]["pixels"]
        if not image.beam_pixels < pixels:
            raise cli.BadInput(
                f"{image.path}: the beam has {image.beam_pixels:.1f} pixels, more than the tile of"
                f" {pixels} that the network sees; expected {low:.1f} to {high:.1f}. Bin the image"
            )
        if not low <= image.beam_pixels <= high:
            print(
                f"{image.path}: the beam has {image.beam_pixels:.1f} pixels; the network learned"
                f" from {low:.1f} to {high:.1f}. smooth_arcsec gives a wider beam",
                file=sys.stderr,
            )
        entry, bounded = self.trained["entry"], hasattr(self.module, "halo_pixels")
        halo = self.module.halo_pixels(entry) if bounded else None
        plan = tiles.plan(image.data.shape, pixels, halo, self.core)
        cost = tiles.operations(lambda batch: self.apply(batch, image))
        print(f"{image.path}: {plan.describe(cost)}", flush=True)
        return plan

    def apply(self, batch: torch.Tensor, image: Image) -> torch.Tensor:
        """The classes of a batch of tiles, on the device of the network."""
        return self.probability(to_device(batch, self.device))


class Baseline:
    """A baseline as what searches images: each as a whole, in memory."""

    def __init__(self, trained: dict):
        self.trained = trained
        self.predict = checkpoint.predictor(trained)

    def threshold(self, image: Image) -> float:
        return baselines.THRESHOLD

    def plan(self, image: Image) -> tiles.Plan:
        print(f"{image.path}: searched as a whole", flush=True)
        return tiles.Plan(image.data.shape, max(image.data.shape), 0)

    def apply(self, batch: torch.Tensor, image: Image) -> torch.Tensor:
        beams = {"beam": image.beam_pixels, "beam_arcsec": image.beam_arcsec}
        beams = {name: torch.full((len(batch),), fwhm) for name, fwhm in beams.items()}
        return self.predict({"input": batch} | beams)["prediction"]


def identity(stated: dict, common: list) -> str:
    """What the products of an image are made from: its files, what is stated, network, code."""
    files = [stated[key] for key in ("path", "noise", "clusters") if key in stated]
    checksums = {path: file_checksum(path) for path in files if Path(path).is_file()}
    text = json.dumps([stated, checksums, common], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def search(stated: dict, searcher: Network | Baseline, folder: Path) -> None:
    """Write the products of an image into a folder."""
    image = read_stated(stated)
    table = None
    if "clusters" in stated:
        table = catalogue.clusters(stated["clusters"], stated.get("columns", {}))
        # a table of many images has few clusters in each
        table = catalogue.within(table, image) if "field" in stated else table
    given = read_noise(stated["noise"], image) if "noise" in stated else None
    plan, threshold = searcher.plan(image), searcher.threshold(image)
    levels = noise.levels(image.data, image.beam_pixels, given)
    if levels is None:
        raise cli.BadInput(
            f"{image.path}: each square of {noise.BOX_BEAMS:g} beams has less than"
            f" {noise.LEAST_SHARE:.0%} of its pixels observed; expected more in one, for the noise"
        )
    diffuse, other, spread = tiles.classify(
        image.data, levels, plan, lambda batch: searcher.apply(batch, image), quiet=False
    )
    found = catalogue.sources(image, levels, diffuse, other, threshold)
    radius = stated.get("radius_arcmin", 5.0)
    verdicts = catalogue.no_clusters()
    if table is not None:
        verdicts = catalogue.verdicts(table, image, levels, diffuse, other, threshold, radius)
    write.products(folder, image, searcher.trained, diffuse, spread, threshold, found, verdicts)
    print(f"{len(found)} sources above a probability of {threshold:.2f}", flush=True)


if __name__ == "__main__":
    cli.run(main, gpus=True)
