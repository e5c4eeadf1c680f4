"""Bad config is refused at parse time, by key, with the nearest known one."""

import pytest
import yaml
from conftest import copy_repository, snakemake


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("config") / "skyloom")


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"co": {"run_modles": ["res_unet"]}},
            "co.run_modles: unknown key; did you mean 'run_models'?",
        ),
        (
            {"co": {"models": {"res_unet": {"epoch": 3}}}},
            "co.models.res_unet.epoch: unknown key; did you mean 'epochs'?",
        ),
        (
            {"co": {"run_models": ["resunet"]}},
            "co.run_models: unknown model 'resunet'; did you mean 'res_unet'?",
        ),
        (
            {"co": {"models": {"x": {"module": "cycelgan", "set": "co10"}}}},
            "did you mean 'cyclegan'?",
        ),
        (
            {"co": {"models": {"res_unet": {"set": "co_10"}}}},
            "co.models.res_unet.set: unknown set; known: co10",
        ),
        (
            {"co": {"sets": {"co10": {"denoiser": "none"}}}},
            "co.models.cyclegan.target: 'denoised', but its set has no",
        ),
        ({"co": {"tiles": {"pixels": 50}}}, "co.tiles.pixels: 50 is not a multiple of 16"),
        ({"co": {"sets": {"Faint": {}}}}, "co.sets.Faint: a name that stands in file names"),
        ({"co": "res_unet"}, "co: 'res_unet' is not a table of keys"),
        (
            {"raw": {"local": {"NHI_HPX.fit": "x"}}},
            "raw.local.NHI_HPX.fit: unknown file; did you mean 'NHI_HPX.fits'?",
        ),
        ({"size": "hugo"}, "size: 'hugo' is not one of"),
        ({"studies": ["cos"]}, "studies: unknown study 'cos'; did you mean 'co'?"),
        ({"study": ["co"]}, "study: unknown key; did you mean 'studies'?"),
        ({"co": {"seeds": [-1]}}, "co.seeds.0: -1 is less than the minimum"),
    ],
)
def test_typo_is_refused_with_the_nearest_known_key(house, tmp_path, overlay, message):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(overlay))
    done = snakemake(house, "-n", "--configfile", str(mine))
    assert done.returncode != 0
    assert f"config: {message}" in done.stdout or message in done.stdout, done.stdout[-2000:]


def test_container_that_is_asked_for_but_not_named_is_refused(house):
    done = snakemake(house, "-n", "--sdm", "apptainer")
    assert done.returncode != 0
    assert "config: container: not set, but --sdm apptainer is" in done.stdout, done.stdout[-2000:]
    named = snakemake(
        house, "-n", "--quiet", "--sdm", "apptainer", "--config", "container=skyloom.sif"
    )
    assert "config: container" not in named.stdout
