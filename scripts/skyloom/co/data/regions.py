"""The tiles of a set and the split of each tile, by position on the sky, never by image.

The sky is cut into blocks of Galactic longitude, each wholly train, valid or test. Whole cloud
complexes are held out as separate tests. A tile is used only if everything within `guard_deg` of
its centre belongs to one split. No sky pixel then lies in two splits, recentred views included.
"""

import re
from pathlib import Path

import healpy as hp
import numpy as np
import pandas as pd

from skyloom import files, patchset
from skyloom.cli import BadInput
from skyloom.co.data.tiles import recentre, tile_centres, tile_vectors

SPLITS = tuple(patchset.SPLITS)
COMPLEX_NAME = "[a-z0-9_]+"
RESERVED = (*SPLITS, "none", "bright", "faint")
LABEL_NSIDE = 256  # resolution (14 arcmin) of the borders between splits
PROBES = 16  # bright and valid sky is counted on a grid of 16 x 16 points per tile


def select_tiles(
    maps: dict[str, np.ndarray], tiles: dict, split: dict, selection: dict
) -> pd.DataFrame:
    """Choose the tiles of one set.

    A tile is bright if its share of pixels with SNR above `tiles.snr_threshold` reaches
    `tiles.bright_fraction`. All bright tiles are taken. With `selection: weighted` a random sample
    of the fainter tiles is added, each weighted by the inverse of its probability. The training set
    then does not represent P(CO | bright) only. With `selection: published` no fainter tile is
    taken.

    Parameters
    ----------
    maps : `signal` and `error` [K km/s] of the set's CO line, and the maps that a model sees,
        (n_pix,) RING, NaN where masked; a pixel is valid where all of them are
    tiles, split : sections of the config; `tiles.seed` seeds the sample
    selection : section of the set in the config

    Returns
    -------
    One row a tile: tile, glon, glat [deg], split, complex, bright_fraction, sampling_weight.

    Raises
    ------
    BadInput : guard bands narrower than the views, a block that does not exist or lies in two
        splits,
        a complex whose name no file can hold, a split or a held-out complex without valid sky.
    """
    require_names(split)
    require_disjoint(tiles, split, selection)
    table = label_tiles(tiles["nside"], split)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = (maps["signal"] / maps["error"]).astype(np.float32)
    for values in maps.values():
        snr[~np.isfinite(values)] = np.nan
    bright, valid = probe(snr, table, tiles)
    require_valid_sky(table, valid, tiles["valid_fraction"], split)
    table["bright_fraction"] = bright
    table = table[table["split"].ne("") & (valid >= tiles["valid_fraction"])].reset_index(drop=True)
    is_bright = table["bright_fraction"].to_numpy() >= tiles["bright_fraction"]
    probability = np.where(is_bright, 1.0, 0.0)
    if selection["selection"] == "weighted" and not is_bright.all():
        probability[~is_bright] = min(
            1.0, selection["faint_share"] * is_bright.sum() / (~is_bright).sum()
        )
    take = np.random.default_rng(tiles["seed"]).random(len(table)) < probability
    table = table[take].assign(sampling_weight=1 / probability[take])
    for name in SPLITS:
        if not (table["split"] == name).any():
            raise BadInput(
                f"config: co.split.{name}: no tile reaches SNR > {tiles['snr_threshold']} on "
                f"{tiles['bright_fraction']:.0%} of its pixels; expected at least one: add "
                f"longitude blocks, or lower co.tiles.snr_threshold or co.tiles.bright_fraction"
            )
    return table.reset_index(drop=True)


def require_names(split: dict) -> None:
    """Refuse names of complexes that `flag_meanings` cannot hold or that have another meaning."""
    for name in split["complexes"]:
        if not re.fullmatch(COMPLEX_NAME, name) or name in RESERVED:
            raise BadInput(
                f"config: co.split.complexes: {name!r} cannot name a complex; expected "
                f"{COMPLEX_NAME}, and none of {', '.join(RESERVED)}"
            )


def require_disjoint(tiles: dict, split: dict, selection: dict) -> None:
    """Refuse settings that put a pixel of sky into two splits, or that name a missing block."""
    # distance of the corner of the farthest view from the tile's centre
    reach = (tiles["size_deg"] / 2 + selection["shift_deg"]) * np.sqrt(2)
    if not split["guard_deg"] >= reach:
        raise BadInput(
            f"config: co.split.guard_deg: {split['guard_deg']:g} deg, but views of "
            f"{tiles['size_deg']:g} deg shifted by {selection['shift_deg']:g} deg reach "
            f"{reach:.2f} deg from a tile's centre; expected at least that"
        )
    n_blocks = count_blocks(split)
    for name in SPLITS[1:]:
        beyond = [block for block in split[f"{name}_blocks"] if not 0 <= block < n_blocks]
        if beyond:
            raise BadInput(
                f"config: co.split.{name}_blocks: there is no block {beyond[0]}; expected 0 to "
                f"{n_blocks - 1}, since co.split.block_deg is {split['block_deg']:g}"
            )
    shared = set(split["valid_blocks"]) & set(split["test_blocks"])
    if shared:
        raise BadInput(
            f"config: co.split: block {min(shared)} is both in valid_blocks and in test_blocks"
        )


def count_blocks(split: dict) -> int:
    """Number of blocks of longitude on the whole circle."""
    return max(1, round(360 / split["block_deg"]))


def label_tiles(nside: int, split: dict) -> pd.DataFrame:
    """Split and complex of every tile; `split` is empty for a tile too near to another split."""
    labels = sky_labels(split)
    glon, glat = tile_centres(nside)
    centres = np.array(hp.ang2vec(glon, glat, lonlat=True))
    tile_label = np.full(len(glon), -1)
    for k, centre in enumerate(centres):
        inside = labels[
            hp.query_disc(LABEL_NSIDE, centre, np.radians(split["guard_deg"]), inclusive=True)
        ]
        if (inside == inside[0]).all():
            tile_label[k] = inside[0]
    names = np.array([*SPLITS, *split["complexes"], ""])
    is_complex = tile_label >= len(SPLITS)
    return pd.DataFrame(
        {
            "tile": np.arange(len(glon)),
            "glon": glon,
            "glat": glat,
            "split": np.where(is_complex, "test", names[tile_label]),
            "complex": np.where(is_complex, names[tile_label], ""),
        }
    )


def sky_labels(split: dict) -> np.ndarray:
    """Label of each RING pixel of `LABEL_NSIDE`.

    0 train, 1 valid, 2 test, from 3 on the held-out complexes.
    """
    glon, glat = hp.pix2ang(LABEL_NSIDE, np.arange(hp.nside2npix(LABEL_NSIDE)), lonlat=True)
    blocks = np.zeros(count_blocks(split), int)
    for code, name in enumerate(SPLITS[1:], 1):
        blocks[split[f"{name}_blocks"]] = code
    labels = blocks[(glon // split["block_deg"]).astype(int) % len(blocks)]
    for code, box in enumerate(split["complexes"].values(), len(SPLITS)):
        (west, east), (south, north) = box["glon"], box["glat"]
        # a box may cross longitude 0
        in_longitude = (glon - west) % 360 <= (east - west) % 360
        labels[in_longitude & (glat >= south) & (glat <= north)] = code
    return labels


def labels_at(nside: int, split: dict) -> np.ndarray:
    """`sky_labels` (n_pix,) at another NSIDE: the label at the centre of each pixel."""
    labels = sky_labels(split).astype(np.int8)
    return labels[hp.ang2pix(LABEL_NSIDE, *hp.pix2ang(nside, np.arange(hp.nside2npix(nside))))]


def probe(snr: np.ndarray, table: pd.DataFrame, tiles: dict) -> tuple[np.ndarray, np.ndarray]:
    """Bright share of each tile's valid sky, and valid share of each tile, (tile,) both.

    Shares are counted at the pixels nearest to a grid of points.
    """
    nside = hp.npix2nside(len(snr))
    bright, valid = np.zeros(len(table)), np.zeros(len(table))
    for k, (glon, glat) in enumerate(zip(table["glon"], table["glat"], strict=True)):
        values = snr[hp.vec2pix(nside, *tile_vectors(glon, glat, 0.0, tiles["size_deg"], PROBES))]
        finite = np.isfinite(values)
        valid[k] = finite.mean()
        bright[k] = (values[finite] > tiles["snr_threshold"]).mean() if finite.any() else 0
    return bright, valid


def require_valid_sky(table: pd.DataFrame, valid: np.ndarray, least: float, split: dict) -> None:
    """Refuse a mask that removes a split, a block of validation or test longitudes, or a complex.

    Parameters
    ----------
    table : of all tiles
    valid : (tile,) unmasked share of each tile
    least : the share that a tile needs
    """
    n_blocks = count_blocks(split)
    block = (table["glon"].to_numpy() // split["block_deg"]).astype(int) % n_blocks
    outside = table["complex"].to_numpy() == ""
    folds = {f"split.{name}": outside & (table["split"] == name).to_numpy() for name in SPLITS}
    for name in SPLITS[1:]:
        for k in split[f"{name}_blocks"]:
            west, east = k * split["block_deg"], (k + 1) * split["block_deg"]
            fold = folds[f"split.{name}"] & (block == k)
            # a narrow block may have no tile where the next block belongs to the same split
            if fold.any():
                folds[f"split.{name}_blocks: block {k}, longitudes {west:g} to {east:g} deg"] = fold
    folds |= {
        f"split.complexes.{name}": (table["complex"] == name).to_numpy()
        for name in split["complexes"]
    }
    for name, fold in folds.items():
        if not (valid[fold] >= least).any():
            raise BadInput(
                f"config: co.{name}: no tile with valid sky is left: the masks of the maps "
                f"leave none of its {fold.sum()} tiles {least:.0%} of their sky; expected at "
                "least one"
                if fold.any()
                else f"config: co.{name}: no tile with valid sky: the region is narrower than its "
                f"guard bands of {split['guard_deg']:g} deg; expected at least one tile"
            )


def tile_views(table: pd.DataFrame, views: int, shift_deg: float, seed: int) -> pd.DataFrame:
    """One row a view: the nominal view of each tile, and `views - 1` more of each training tile.

    The further views are recentred and rotated. They are cut from the true sky, not turned as
    images. The offset of a view depends only on (seed, tile, view).
    """
    rows = []
    for row in table.to_dict("records"):
        rows.append({**row, "view": 0, "angle": 0.0})
        for view in range(1, views if row["split"] == "train" else 1):
            rng = np.random.default_rng([seed, row["tile"], view])
            glon, glat = recentre(row["glon"], row["glat"], *rng.uniform(-shift_deg, shift_deg, 2))
            rows.append(
                {**row, "view": view, "glon": glon, "glat": glat, "angle": rng.uniform(0, 360)}
            )
    return pd.DataFrame(rows)


def read_tiles(path: str | Path) -> pd.DataFrame:
    """The table that `co_select_tiles` wrote.

    `complex` is an empty string outside of the complexes.
    """
    numbers = ["tile", "glon", "glat", "bright_fraction", "sampling_weight"]
    return files.read_csv(path, ["split", "complex"], numbers, keep_default_na=False)
