"""The turbulence study: what its config refuses, and which models and sets its figures show."""

import re

import pytest
from conftest import plan
from snakemake.exceptions import WorkflowError

R = "results/demo/turbulence"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"variants": {"base": "cnn", "models": ["cnn_wid"]}},
            "turbulence.variants.models: unknown model 'cnn_wid'",
        ),
        (
            {
                "models": {"other": {"module": "cnn", "set": "blurred"}},
                "sets": {"blurred": {"families": ["clouds"], "blur_pixels": 1}},
                "variants": {"models": ["other"]},
            },
            "turbulence.variants.models: models of several sets; expected one, whose validation",
        ),
        (
            {"training_size": {"models": ["cn"]}},
            "turbulence.training_size.models: unknown model 'cn'; did you",
        ),
        (
            {
                "sets": {"blurred": {"families": ["clouds"], "blur_pixels": 1}},
                "models": {"other": {"module": "cnn", "set": "blurred"}},
                "training_size": {"models": ["cnn", "other"]},
            },
            "turbulence.training_size.models: their sets differ in more than train_simulations",
        ),
        (
            {"images": {"sets": ["quarters"]}},
            "turbulence.images.sets: unknown set 'quarters'; did you mean 'quarter'?",
        ),
        (
            {"realism": {"pairs": [{"first": "quater", "second": "quarter"}]}},
            "pairs.0.first: unknown set 'quater'; did you",
        ),
        (
            {"realism": {"pairs": [{"first": "quarter", "second": "quarter"}]}},
            "pairs.0: 'quarter' twice",
        ),
        (
            {"models": {"cnn": {"start": "residul"}}},
            "turbulence.models.cnn.start: unknown model 'residul'",
        ),
        (
            {"models": {"cnn": {"start": "power"}}},
            "turbulence.models.cnn.start: 'power' is a baseline",
        ),
        ({"models": {"cnn": {"start": "cnn"}}}, "turbulence.models.cnn.start: a circle: cnn, cnn"),
        (
            {"models": {"cnn": {"learns": "slope"}}},
            "turbulence.models.cnn.learns: 'slope' is not one of",
        ),
        (
            {"models": {"hog": {"learner": "forest"}}},
            "turbulence.models.hog.learner: 'forest' is not one of",
        ),
        (
            {"models": {"hog": {"cell": 4}}},
            "turbulence.models.hog.cell: unknown key 'cell'; did you mean 'cells'?",
        ),
        (
            {"families": {"mine": {"outputs": {"run1": {"indx": 4}}}}},
            "families.mine.outputs.run1.indx: unknown key 'indx'; did you mean 'index'?",
        ),
        (
            {"families": {"mine": {"outputs": [{"index": 4}, {"index": 3}]}}},
            "a list has one entry, that of all outputs",
        ),
        (
            {"families": {"mine": {"assume": {"colum": "mag"}}}},
            "families.mine.assume.colum: unknown key 'colum'; did you mean 'column'?",
        ),
        (
            {"models": {"scattering": {"scales": 6}}, "run_models": ["cnn", "scattering"]},
            "models.scattering.scales: wavelets of 2^6 pixels, images of 32",
        ),
        (
            {"sets": {"quarter": {"families": ["cloud"]}}},
            "unknown family 'cloud'; did you mean 'clouds'?",
        ),
        (
            {"sets": {"quarter": {"zoom": "twice"}}},
            "turbulence.sets.quarter.zoom: 'twice' is not of type",
        ),
        (
            {"sets": {"quarter": {"test_share": 0.9}}},
            "valid_share and test_share are more than 1 together",
        ),
        (
            {
                "families": {"again": {"seed": 100}},
                "sets": {"quarter": {"families": ["clouds", "again"]}},
            },
            "turbulence.sets.quarter.families: 'clouds' and 'again' share seeds",
        ),
        (
            {
                "sets": {"all": {"families": ["clouds"], "test_share": 1, "valid_share": 0}},
                "transfer": {"cnn": ["all"]},
            },
            "turbulence.transfer.cnn: sets 'all' and 'quarter' share simulations",
        ),
        (
            {
                "families": {"more": {"seed": 500}, "yet": {"seed": 900}},
                "sets": {
                    "more": {"families": ["more"]},
                    "yet": {"families": ["yet"]},
                    "all_more": {"families": ["more"], "test_share": 1, "valid_share": 0},
                },
                "models": {
                    "first": {"module": "cnn", "set": "more"},
                    "second": {"module": "cnn", "set": "yet", "start": "first"},
                    "third": {"module": "cnn", "set": "quarter", "start": "second"},
                },
                "transfer": {"third": ["all_more"]},
            },
            "turbulence.transfer.third: sets 'all_more' and 'more' share simulations",
        ),
        ({"transfer": {"cnn": ["blurry"]}}, "turbulence.transfer.cnn: unknown set 'blurry'"),
        (
            {"transfer": {"cn": ["quarter"]}},
            "turbulence.transfer.cn: unknown model 'cn'; did you mean 'cnn'?",
        ),
        (
            {"families": {"clouds": {"grid": 63}}},
            "turbulence.families.clouds.grid: 63 is not a multiple of 2",
        ),
        (
            {"families": {"clouds": {"courant": 1.5}}},
            "turbulence.families.clouds.courant: 1.5 is greater than",
        ),
        (
            {"families": {"clouds": {"precision": "float32"}}},
            "turbulence.families.clouds.precision: float32 is of the backend torch",
        ),
        (
            {"families": {"clouds": {"compile": True}}},
            "turbulence.families.clouds.compile: True is of the backend torch",
        ),
    ],
)
def test_wrong_config_is_refused_by_key(settings, message):
    with pytest.raises(WorkflowError) as refused:
        plan("turbulence", **settings)
    assert str(refused.value).startswith("config: turbulence.") and message in str(refused.value)


STUDIED = {
    "seeds": [0],
    "sets": {
        "few": {"families": ["clouds"], "train_simulations": 8},
        "zoomed": {"families": ["clouds"], "zoom": 2},
        "continuous": {"families": ["continuous"], "valid_share": 0.2},
    },
    "families": {
        "continuous": {
            "simulations": 20,
            "grid": 32,
            "seed": 5000,
            "index": {"low": 3.0, "high": 4.5},
        }
    },
    "models": {
        "cnn_wide": {"module": "cnn", "set": "quarter", "width": 32},
        "cnn_few": {"module": "cnn", "set": "few"},
        "power_index": {
            "module": "power",
            "set": "continuous",
            "learns": "index",
            "learner": "ridge",
        },
    },
    "run_models": ["cnn", "cnn_wide", "cnn_few", "hog", "power_index"],
    "transfer": {"cnn": ["continuous", "zoomed"]},
    "variants": {"models": ["cnn_wide"]},
    "training_size": {"models": ["cnn", "cnn_few"]},
}


def test_each_figure_shows_the_models_and_sets_that_the_config_names():
    turbulence = plan("turbulence", **STUDIED)
    assert turbulence.shown == ["quarter"] and turbulence.drawn == ["cnn"]
    # `few` is a point of the figure of training sizes and nothing else
    assert turbulence.classified == ["quarter"] and turbulence.regressed == ["continuous"]
    assert turbulence.continua == ["continuous"] and turbulence.sizes == ["cnn", "cnn_few"]
    assert turbulence.continuum("continuous") == [
        f"{R}/{path}/curves.nc"
        for path in ("transfer/cnn/seed0/continuous", "test/power_index/seed0")
    ]
    assert turbulence.ladders == [{"key": "zoom", "values": {"quarter": 1, "zoomed": 2}}]
    assert turbulence.variants == ["cnn", "cnn_wide"]
    assert turbulence.crossed("continuous") == ["cnn"] and turbulence.crossed("zoomed") == ["cnn"]
    assert turbulence.paired_sets == ["quarter"]


def test_nothing_is_shown_of_what_does_not_run():
    turbulence = plan("turbulence", **STUDIED | {"run_models": ["hog"]})
    assert turbulence.shown == turbulence.classified == ["quarter"]
    for nothing in (
        "drawn",
        "regressed",
        "continua",
        "sizes",
        "ladders",
        "variants",
        "paired_sets",
    ):
        assert getattr(turbulence, nothing) == [], nothing
    assert turbulence.transfers == {} and turbulence.transfer_tests("scores.nc") == []
    assert turbulence.explained() == [] and turbulence.embedded_sets == []


def test_transfer_is_listed_after_the_test_of_the_same_training_on_its_own_set():
    settings = {"models": {"cnn": {"seeds": [3, 4]}}, "transfer": {"cnn": ["zoomed"]}}
    zoomed = {"zoomed": {"families": ["clouds"], "zoom": 2}}
    assert plan("turbulence", sets=zoomed, **settings).transfer_tests("metrics.json") == [
        f"{R}/{path}/metrics.json"
        for seed in (3, 4)
        for path in (f"test/cnn/seed{seed}", f"transfer/cnn/seed{seed}/zoomed")
    ]


@pytest.mark.parametrize(
    ("index", "continuous"),
    [([3.0, 4.0], False), (3.0, False), ([3, 3.5, 4], True), ({"low": 3, "high": 4.5}, True)],
)
def test_set_is_continuous_where_its_simulations_have_more_than_two_indices(index, continuous):
    families = {"clouds": {"index": index}}
    assert plan("turbulence", families=families).continuous("quarter") == continuous


def test_family_is_simulated_in_its_shards_or_read_from_the_users_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    families = {
        "many": {"shards": 3, "source": "early"},
        "mine": {"source": "ramses", "outputs": [{"index": 4}]},
    }
    turbulence = plan("turbulence", families=families, sets={"all": {"families": [*families]}})
    assert turbulence.shards("many") == [
        f"{R}/simulations/many/shards/{shard}.nc" for shard in range(3)
    ]
    assert turbulence.clouds("many")["backend"] == "early"
    assert turbulence.clouds("clouds")["backend"] == "numba"
    assert turbulence.families("ramses", "cube") == "mine" and turbulence.families("maps") == "(?!)"
    assert turbulence.grid("quarter") == 64 and turbulence.grid("all") is None
    assert turbulence.columns("all") == [f"{R}/simulations/{name}/columns.nc" for name in families]
    with pytest.raises(WorkflowError, match="families.mine: no output in resources/raw/turb"):
        turbulence.outputs("mine")
    for name in ("output_00002", "output_00001", ".hidden"):
        (tmp_path / "resources/raw/turbulence/mine" / name).mkdir(parents=True)
    names = [path.rpartition("/")[2] for path in turbulence.outputs("mine")]
    assert names == ["output_00001", "output_00002"]
    families["mine"]["outputs"] = {"output_00002/group_00001": {"index": 4}, "output_3": {}}
    turbulence = plan("turbulence", families=families)
    message = "mine.outputs: unknown output 'output_3'; did you mean 'output_0"
    with pytest.raises(WorkflowError, match=message):
        turbulence.outputs("mine")


def test_indices_of_a_users_outputs_are_those_of_their_labels():
    labels = {f"run{k}": {"index": 3 + k / 4} for k in range(3)} | {"run9": {"mach": 2}}
    families = {"mine": {"source": "ramses", "outputs": labels}}
    sets = {"mine": {"families": ["mine"]}}
    assert plan("turbulence", families=families, sets=sets).continuous("mine")
    families["mine"]["outputs"] = [{"index": 4}]
    turbulence = plan("turbulence", families=families, sets=sets)
    assert not turbulence.continuous("mine")
    assert turbulence.reading("mine")["outputs"] == [{"index": 4}]


def test_memory_grows_with_the_cells_that_a_job_holds():
    families = {"big": {"grid": 128}, "many": {"simulations": 240}}
    turbulence = plan("turbulence", families=families)
    own = turbulence.simulation_mb("clouds") - 2000
    assert turbulence.simulation_mb("big") - 2000 == pytest.approx(8 * own, abs=8)
    both = turbulence.maps_mb("clouds", "many") - 4000
    assert both == pytest.approx(3 * (turbulence.maps_mb("clouds") - 4000), abs=3)


def test_explanations_are_of_a_model_a_sets_models_or_its_embedding():
    turbulence = plan("turbulence", explain={"models": ["cnn", "power", "hog"]})
    assert (
        turbulence.explained(kind="network") == ["cnn"] and turbulence.embedded("quarter") == "cnn"
    )
    for figure, of, names in (
        ("bands", "hog", ["hog"]),
        ("controls", "quarter", ["cnn", "power", "hog"]),
        ("embedding", "quarter", ["embedding_quarter"]),
    ):
        expected = [f"{R}/explain/{name}.nc" for name in names]
        assert turbulence.explanations(figure, of) == expected


def test_pair_is_compared_by_its_own_settings_and_its_autoencoder():
    models = {"auto": {"module": "autoencoder", "set": "quarter", "seeds": [4, 5]}}
    pair = {"first": "quarter", "second": "other", "autoencoder": "auto"}
    realism = {"pairs": [pair], "panel": 0, "folds": 3}
    sets = {"other": {"families": ["clouds"], "zoom": 2}}
    turbulence = plan("turbulence", models=models, sets=sets, realism=realism)
    assert turbulence.pairs == [("quarter", "other")] and turbulence.panels == []
    assert turbulence.autoencoder(*turbulence.pairs[0]) == [f"{R}/models/auto/seed4/best.ckpt"]
    read = turbulence.realism(*turbulence.pairs[0])
    assert read["folds"] == 3 and read["entry"]["module"] == "autoencoder"
    assert turbulence.pair_patterns() == {"first": "quarter", "second": "other"}


def test_training_examples_are_the_parts_of_three_views_of_each_simulation():
    sets = {"few": {"families": ["clouds"], "train_simulations": 8, "parts": 3}}
    models = {"small": {"module": "cnn", "set": "few"}}
    turbulence = plan("turbulence", sets=sets, models=models)
    assert turbulence.training_examples("small") == 8 * 3 * 9
    assert turbulence.training_examples("cnn") == 120 * 0.6 * 3 * 4


def test_survey_announces_the_hours_of_its_simulations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = plan("turbulence", size="survey").estimate()
    start = lines.index("Estimate: turbulence, simulations still to be made")
    rows = {line.split()[0]: line for line in lines[start + 1 :]}
    assert rows["clouds"].split()[1:6] == ["2000", "x", "256^3", "in", "20"]
    hours = {name: float(re.search(r"([\d.]+) GPU-hours", line)[1]) for name, line in rows.items()}
    # 44 compiled steps of 256^3 cells (cost.py: measured), 2.4e9 of them a second
    assert hours["clouds"] == pytest.approx(2000 * 44 * 256**3 / 2.4e9 / 3600, rel=0.1)
    assert hours["sum"] == pytest.approx(hours["clouds"] + hours["continuous"], abs=0.02)
    made = tmp_path / R / "simulations/clouds/columns.nc"
    made.parent.mkdir(parents=True)
    made.touch()
    assert not any(
        line.split()[0] == "clouds" for line in plan("turbulence", size="survey").estimate()[start:]
    )
