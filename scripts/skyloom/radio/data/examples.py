"""Training examples from a patch set of radio images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from skyloom.examples import Batch, Examples, split_rows
from skyloom.patchset import PatchSet
from skyloom.radio.data.noise import network_input
from skyloom.radio.simulate.field import CLASSES, INVALID

SOURCE = "realisation"
TRAINED_ATTRIBUTES = ()


@dataclass(frozen=True)
class Images:
    """`input` (n, 2, y, x), asinh of S/N and what is observed; `label` (n, 1, y, x), a class or
    255; `diffuse` (n, 1, y, x), brightness without noise [noise]; `beam` (n,), FWHM [pixel], and
    `beam_arcsec`.
    """

    patches: PatchSet
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> Batch:
        rows = self.rows[np.atleast_1d(index)]
        level, noise = (
            self.patches.coords[name][rows, None, None] for name in ("background", "noise")
        )
        seen = network_input(self.patches.array("image")[rows], level, noise)
        label = self.patches.array("target")[rows, None].astype(np.float32)
        beams = {
            name: torch.from_numpy(self.patches.coords[key][rows].astype(np.float32))
            for name, key in (("beam", "beam_pixels"), ("beam_arcsec", "beam_arcsec"))
        }
        return beams | {
            "input": torch.from_numpy(seen),
            "label": torch.from_numpy(label),
            "diffuse": torch.from_numpy(self.patches.array("diffuse")[rows, None]),
        }


def load(paths: list[Path], entry: dict, meta: dict | None = None) -> Examples:
    """The examples of a set. paths : `patches.nc`; entry : the model's, unused here."""
    patches = PatchSet(paths[0])
    parts = {name: Images(patches, rows) for name, rows in split_rows(patches).items()}
    described = {"classes": list(CLASSES), "pixels": int(patches.array("image").shape[-1])}
    described |= {"invalid": INVALID, "mask_sigma": float(patches.attrs["mask_sigma"])}
    described["beams"] = np.atleast_1d(patches.attrs["beams"]).tolist()
    beams = patches.coords["beam_pixels"]
    described["beam_pixels"] = [float(beams.min()), float(beams.max())]
    return Examples(parts["train"], parts["valid"], parts["test"], meta or described)
