"""What a bottleneck tells of a tile."""

import numpy as np
import pandas as pd
import pytest
import torch

from skyloom.cli import BadInput
from skyloom.co.explain import latent
from skyloom.co.models import res_unet

ENTRY = {
    "coarse": 1,
    "depth": 2,
    "width": 4,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "linear_loss": 0.0,
    "base": "none",
}
NORMALISATION = {"asinh_scale": 1.0, "asinh_mean": 1.5, "asinh_std": 1.0}
META = {
    "pixels": 16,
    "pixel_arcmin": 5.0,
    "line": "CO J=1-0",
    "normalisation": {name: NORMALISATION for name in ("dust", "hi", "target")},
}


class Tiles:
    def __init__(self, n: int):
        self.x = torch.randn(n, 2, 16, 16, generator=torch.Generator().manual_seed(n))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return {"input": self.x[rows]}


@pytest.fixture
def trained():
    torch.manual_seed(1)
    state = res_unet.make_task(ENTRY, META).state_dict()
    about = {
        "study": "co",
        "model": "res_unet",
        "kind": "network",
        "module": "res_unet",
        "meta": META,
        "entry": ENTRY,
    }
    return about | {"state": state}


def test_features_of_a_tile_do_not_depend_on_the_side_it_is_seen_from(trained):
    tiles = Tiles(70)  # two batches
    features = latent.bottleneck_features(trained, tiles)
    assert features.shape == (70, 16)  # width 4, twice doubled
    tiles.x = tiles.x.flip(-1).transpose(-1, -2)
    turned = latent.bottleneck_features(trained, tiles)
    # float32, in another order
    assert np.abs(features - turned).max() < 1e-4 * np.abs(features).max()
    assert np.abs(features - features[0]).max() > 1e-3


def test_a_baseline_has_no_bottleneck(trained):
    with pytest.raises(BadInput, match="isotonic is a baseline; expected a network"):
        latent.bottleneck_features(trained | {"kind": "baseline", "model": "isotonic"}, Tiles(2))


def test_a_quantity_is_read_off_features_that_hold_it_and_off_no_others():
    random = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame({name: random.normal(size=n) for name in latent.QUANTITIES})
    features = np.column_stack(
        [table["co"] + 0.1 * random.normal(size=n), random.normal(size=(n, 5))]
    )
    glon, glat = random.uniform(0, 360, n), np.degrees(np.arcsin(random.uniform(-1, 1, n)))
    r2 = latent.regress(features, table, glon, glat).set_index("quantity")
    # noise over variance
    assert r2.loc["asinh W(CO)", "r2_features"] == pytest.approx(1 - 0.01 / 1.01, abs=0.005)
    assert (
        abs(r2.loc["asinh W(CO)", "r2_means"]) < 0.05
        and abs(r2.loc["abs(b)", "r2_features"]) < 0.05
    )
