"""The CO study: what its config refuses, and which files its sets, models and products need."""

import pytest
from conftest import REPOSITORY, plan
from snakemake.exceptions import WorkflowError

from dag.config import read_yaml

R = "results/demo/co"
DENOISED = {"module": "cyclegan", "set": "co10", "target": "denoised", "r1": 5.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sets": {"co10": {"denoiser": "none"}}},
            "co.models.cyclegan.target: 'denoised', but its set has no denoiser",
        ),
        (
            {"split": {"held_out": ["orionn"]}},
            "co.split.held_out: unknown complex 'orionn'; did you mean 'orion'?",
        ),
        (
            {"models": {"cyclegan_r1": DENOISED}, "variants": {"models": ["cyclegan_rl"]}},
            "co.variants.models: unknown model 'cyclegan_rl'; did you mean 'cyclegan_r1'?",
        ),
        (
            {"products": {"x": {"lines": {"10": "resunet"}}}},
            "co.products.x.lines.10: unknown model 'resunet'; did you mean 'res_unet",
        ),
        (
            {"products": {"x": {"lines": {"21": "res_unet"}}}},
            "co.products.x.lines.21: model 'res_unet' learns line 10 from set 'co10'; expected 21",
        ),
        ({"products": {"x": {"lines": {}}}}, "co.products.x.lines: empty; expected a model"),
        (
            {"run_products": ["sky"], "products": {"skye": {"lines": {"10": "res_unet"}}}},
            "co.run_products: unknown product 'sky'; did you mean 'skye'?",
        ),
        (
            {"maps": {"columns": {"NH1": "nh"}}},
            "co.maps.columns: unknown column 'NH1'; did you mean 'NHI'?",
        ),
        ({"maps": {"units": {"I10": 5}}}, "co.maps.units.I10: 5 is not of type 'string'"),
        (
            {"maps": {"plausible": {"dust_slope": [0.2]}}},
            "co.maps.plausible.dust_slope: [0.2] is too short",
        ),
        ({"products": {"Sky": {"lines": {"10": "res_unet"}}}}, "co.products.Sky: a name that"),
    ],
)
def test_wrong_config_is_refused_by_key(settings, message):
    with pytest.raises(WorkflowError) as refused:
        plan("co", **settings)
    assert str(refused.value).startswith(f"config: {message}")


@pytest.mark.parametrize(
    ("name", "snr", "maps"),
    [
        ("plain", f"{R}/maps.nc", []),
        ("sphere", f"{R}/maps.nc", [f"{R}/maps.nc", f"{R}/denoised/co10_nlm_sphere.nc"]),
        (
            "cut_after",
            f"{R}/denoised/co21_nlm_sphere.nc",
            [f"{R}/maps.nc", f"{R}/denoised/co21_nlm_sphere.nc"],
        ),
        ("co10", f"{R}/maps.nc", []),
    ],
)
def test_set_takes_the_maps_that_it_names(name, snr, maps):
    sets = {
        "plain": {},
        "sphere": {"denoiser": "nlm_sphere"},
        "cut_after": {"line": "21", "denoiser": "nlm_sphere", "snr_from": "denoised"},
    }
    co = plan("co", sets=sets)
    assert co.snr_map(name) == snr and [*co.denoiser_maps(name).values()] == maps
    assert bool(co.denoised(name)) == (name != "plain")


def test_line_is_denoised_once_for_all_sets_that_ask_for_it():
    sets = {name: {"denoiser": "nlm_sphere"} for name in ("co10", "second")}
    models = {"other": {"module": "excess", "set": "second"}}
    assert plan("co", sets=sets, models=models, run_models=["excess", "other"]).denoised_lines == [
        "10"
    ]
    assert plan("co").denoised_lines == []


def test_model_of_denoised_co_learns_from_it_beside_its_patches():
    co = plan("co")
    patches, denoised = f"{R}/sets/co10/patches.nc", f"{R}/sets/co10/denoised.nc"
    assert co.training_set("cyclegan") == [patches, denoised]
    assert co.training_set("res_unet") == [patches]


def test_raw_maps_are_the_surveys_files_wherever_they_lie():
    co, survey = plan("co"), read_yaml(REPOSITORY / "config/co/data.yaml")["files"]
    assert {path.rpartition("/")[2] for path in co.simulated.values()} == {*survey}
    assert {*co.surveys.values()} == {f"resources/raw/co/{name}" for name in survey}
    assert not co.surveyed and plan("co", size="survey").surveyed


@pytest.mark.parametrize(
    "name", ["NHI_HPX.fits.gz", "NHI_HPX.FITS.GZ", "nhi_hpx.fits", "NHI_HPX.fits.bz2"]
)
def test_copy_of_ones_own_is_taken_in_place_of_a_download(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "resources/raw/co"
    folder.mkdir(parents=True)
    for other in ("NHI_HPX.fits.sha256", "NHI_HPX.fits.part", name):
        (folder / other).touch()
    surveys = plan("co").surveys
    assert surveys["hi"] == f"resources/raw/co/{name}"
    assert surveys["co"].endswith("/HFI_CompMap_CO-Type2_2048_R1.10.fits")
    (folder / "NHI_HPX.fits").touch()
    assert plan("co").surveys["hi"] == "resources/raw/co/NHI_HPX.fits"


def test_split_has_the_boxes_of_the_complexes_that_are_held_out_only():
    split = plan("co", split={"held_out": ["orion"]}).split
    assert [*split["complexes"]] == ["orion"] and "held_out" not in split


def test_second_map_is_compared_with_sets_of_its_line():
    second = {"path": "type1.fits", "kind": "type1"}
    assert plan("co").second_sets == []
    assert plan("co", second_map=second).second_sets == ["co10"]
    assert plan("co", second_map=second | {"line": "21"}).second_sets == []


def test_table_of_variants_shows_those_that_run_below_their_base():
    models = {"cyclegan_r1": DENOISED, "cyclegan_hinge": DENOISED | {"gan_loss": "hinge"}}
    settings = {"models": models, "variants": {"models": [*models]}}
    co = plan("co", run_models=["cyclegan_r1", "constant", "cyclegan"], **settings)
    assert co.variants == ["cyclegan", "cyclegan_r1"] and f"{R}/variants.html" in co.results
    assert co.cyclegans == ["cyclegan_r1", "cyclegan"]
    # a base that does not run is what the others differ from
    config = plan("co", run_models=["cyclegan_r1"], **settings).variant_config()
    assert [*config["entries"]] == ["cyclegan_r1"] and config["base"] == co.science("cyclegan")
    assert config["scores"][0] == "rho_l_beam" and config["subset"] == "bright"
    alone = plan("co", run_models=["cyclegan", "constant"], **settings)
    assert alone.variants == [] and f"{R}/variants.csv" not in alone.results


def test_product_is_predicted_with_every_seed_of_the_model_of_each_line():
    products = {"sky": {"lines": {"10": "res_unet", "21": "excess_21"}}}
    co = plan("co", products=products, seeds=[0, 1])
    assert co.skies("sky") == [
        f"{R}/sky/sky/{name}.nc" for name in ("res_unet/seed0", "res_unet/seed1", "excess_21/seed0")
    ]
    assert len(co.skies("sky", first=True)) == 2
    assert co.product_line("sky", "excess_21") == "21"
    assert co.product_sets("sky") == {"10": "co10", "21": "co21"}


def test_training_examples_are_counted_once_the_tiles_are_chosen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    co = plan("co", sets={"co10": {"views": 3, "selection": "published"}})
    # three flips of 3496 training tiles are the presentation's 10,488 images
    assert co.training_examples("res_unet") == 10488
    table = tmp_path / R / "sets/co10/tiles.csv"
    table.parent.mkdir(parents=True)
    table.write_text("tile,split\n1,train\n2,test\n3,train\n")
    assert co.training_examples("res_unet") == 2 * 3
