"""Bright tiles of each CO line, cut on the signal-to-noise before and after denoising, beside the
published patches.

The published sets count each tile three times (two flips), validation's and test's too, and have no
guard bands between splits: `all` counts the tiles that lie in ours as well. The bright tiles of a
line are the same in each of its sets.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from skyloom import cli
from skyloom.co.data.regions import label_tiles, probe
from skyloom.patchset import PatchSet

FLIPS = 3  # of a tile in the published sets: itself and two flips
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
    arguments = parser.parse_args()
    tiles, published = (
        arguments.config["tiles"],
        yaml.safe_load(arguments.published.read_text())["patch_counts"],
    )

    table, rows = label_tiles(tiles["nside"], arguments.config["split"]), []
    for line, denoised in zip(arguments.config["lines"], arguments.denoised, strict=True):
        for cut, snr in ratios(PatchSet(arguments.maps), PatchSet(denoised), f"co{line}"):
            bright, valid = probe(snr, table, tiles)
            taken = table["split"][
                (bright >= tiles["bright_fraction"]) & (valid >= tiles["valid_fraction"])
            ]
            theirs = published["patches"].get(cut, {}) if line == published["line"] else {}
            for split, names in SPLITS.items():
                count = int(taken.isin(names).sum())
                parts = [theirs.get(name) for name in names if name]
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
    with cli.atomic(arguments.output) as part:
        counts.to_csv(part, index=False)


def ratios(maps: PatchSet, denoised: PatchSet, line: str) -> Iterator[tuple[str, np.ndarray]]:
    """Signal over noise three ways: the last one tells what the smaller error alone does to the
    count.
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
