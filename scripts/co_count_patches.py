"""Count the bright tiles of each CO line, before and after denoising, next to the published counts.

The cut is on the signal-to-noise. The published sets count each tile three times (two flips), with
the tiles of validation and test, and have no guard bands between splits. The split `all` therefore
counts the tiles in our guard bands, too. All sets of a line have the same bright tiles.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from skyloom import cli
from skyloom.co.data.regions import label_tiles, probe
from skyloom.patchset import PatchSet

FLIPS = 3  # examples of a tile in the published sets: the tile and two flips
SPLITS = {
    "train": ["train"],
    "valid": ["valid"],
    "test": ["test"],
    "train and valid": ["train", "valid"],
    "all": ["train", "valid", "test", ""],
}


def main() -> None:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=cli.json_argument, required=True, help="lines, sections tiles and split"
    )
    parser.add_argument("--maps", type=Path, required=True, help="maps.nc")
    parser.add_argument(
        "--denoised",
        type=Path,
        nargs="+",
        required=True,
        help="map of co_denoise_sphere, one a line",
    )
    parser.add_argument("--published", type=Path, required=True, help="config/co/published.yaml")
    parser.add_argument("--output", type=Path, required=True, help="patch_counts.csv")
    args = parser.parse_args()
    tiles = args.config["tiles"]
    published = yaml.safe_load(args.published.read_text())["patch_counts"]

    table, rows = label_tiles(tiles["nside"], args.config["split"]), []
    for line, denoised in zip(args.config["lines"], args.denoised, strict=True):
        for cut, snr in ratios(PatchSet(args.maps), PatchSet(denoised), f"co{line}"):
            bright, valid = probe(snr, table, tiles)
            splits = table["split"][
                (bright >= tiles["bright_fraction"]) & (valid >= tiles["valid_fraction"])
            ]
            published_counts = (
                published["patches"].get(cut, {}) if line == published["line"] else {}
            )
            for split, names in SPLITS.items():
                count = int(splits.isin(names).sum())
                parts = [published_counts.get(name) for name in names if name]
                row = {
                    "line": f"CO {line[0]}-{line[1]}",
                    "cut": cut,
                    "split": split,
                    "tiles": count,
                }
                row |= {
                    "with_flips": FLIPS * count,
                    "published": sum(parts) if all(parts) else None,
                }
                rows.append(row | {"source": published["source"] if all(parts) else ""})
    counts = pd.DataFrame(rows).astype({"published": "Int64"})
    print(counts.drop(columns="source").to_string(index=False))
    with cli.atomic(args.output) as part:
        counts.to_csv(part, index=False)


def ratios(maps: PatchSet, denoised: PatchSet, line: str) -> Iterator[tuple[str, np.ndarray]]:
    """Signal-to-noise (n_pix,) by three definitions, with their names.

    The last definition shows the effect of the smaller error alone.
    """
    error = f"{line}_error"
    pairs = {
        "raw": (maps.array(line), maps.array(error)),
        "denoised": (denoised.array(line), denoised.array(error)),
        "denoised, raw error": (denoised.array(line), maps.array(error)),
    }
    for cut, (signal, sigma) in pairs.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            yield cut, signal / sigma


if __name__ == "__main__":
    cli.run(main)
