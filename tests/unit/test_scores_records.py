"""Records of scores, and what is read back from their files."""

import json

import numpy as np
import pytest
import xarray as xr
from score_files import write_model

from skyloom.cli import BadInput
from skyloom.scores import bootstrap, records


@pytest.mark.parametrize("blocks", [[0, 0, 0, 0, 0], [0, 0, 1, 1, 2]])
def test_few_blocks_give_a_value_without_an_interval_and_without_draws(blocks):
    counts = bootstrap.multiplicities(np.array(blocks), 20, seed=0)
    draws = bootstrap.mean(np.arange(5.0), counts)
    made = records.record("bias", draws, "zero", np.array(blocks), subset="bright")
    assert made["value"] == 2 and made["blocks"] == len(set(blocks))
    assert np.isnan(made["ci68"]).all()
    assert made["draws"][0] == 2 and np.isnan(made["draws"][1:]).all()


def test_digest_names_the_blocks_and_not_their_labels():
    def digest(blocks):
        return records.record("bias", np.zeros(3), "zero", np.array(blocks), subset="a")["digest"]

    assert digest([0, 0, 1, 2]) == digest([5, 5, 7, 9])
    assert digest([0, 0, 1, 2]) != digest([0, 1, 1, 2])
    assert digest([0, 0, 1, 2]) != digest([0, 0, 1, 2, 2])


def test_nan_and_numpy_numbers_become_strict_json(tmp_path):
    content = {"a": np.float32(1.5), "b": [np.nan, np.inf], "c": np.int64(3)}
    records.write_json(content, tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 1.5, "b": [None, None], "c": 3}


def test_metrics_file_without_its_model_is_refused(tmp_path):
    (tmp_path / "m.json").write_text('{"study": "co", "metrics": []}')
    with pytest.raises(BadInput, match=r"m\.json: key model, kind, seed, set, data not found"):
        records.read([tmp_path / "m.json"])


def test_draws_of_each_record_are_read_back_from_the_file_beside(tmp_path):
    path = write_model(tmp_path, "net", "network", {"rho_l_beam": 0.9, "bias": 0.1})
    test, valid = (records.read([path], split, draws=True) for split in ("metrics", "validation"))
    for table, split in ((test, "test"), (valid, "valid")):
        assert set(table["split"]) == {split}
        for row in table.itertuples():
            assert row.draws[0] == pytest.approx(row.value, rel=1e-6)
            assert bootstrap.summary(row.draws)[1:] == pytest.approx((row.lo, row.hi), rel=1e-5)
    assert set(test.digest) == set(valid.digest)
    content = json.loads(path.read_text())
    assert set(content["metrics"][0]) == set(records.RECORD)
    assert "group" not in content and "group" not in test


def test_scores_file_has_scores_of_single_examples_with_their_coordinates(tmp_path):
    path = write_model(tmp_path, "net", "network", {"rho_l_beam": 0.9})
    with xr.open_dataset(path.with_name("scores.nc")) as scores:
        assert scores.rms.dims == ("example",) and scores.rms.coords["tile"].dims == ("example",)
        assert scores.draws.dims == ("record", "draw") and scores.draws.dtype == np.float32
        assert scores.attrs["model"] == "net" and scores.attrs["data_kind"] == "simulated"


def test_group_of_a_set_is_a_column_only_where_a_study_has_groups(tmp_path):
    path = write_model(tmp_path, "net", "network", {"bias": 0.1}, group="CO J=1-0")
    assert records.read([path])["group"].tolist() == ["CO J=1-0"]


def test_metrics_whose_draws_are_of_another_evaluation_are_refused(tmp_path):
    path = write_model(tmp_path, "net", "network", {"rho_l_beam": 0.9})
    path.write_text(path.read_text().replace("rho_l_beam", "rho_l"))
    with pytest.raises(BadInput, match="draws of test rho_l model bright not found"):
        records.read([path], draws=True)


def test_seeds_are_pooled_and_one_seed_keeps_its_recorded_interval(tmp_path):
    paths = [
        write_model(tmp_path, "net", "network", {"rho_l_beam": rho}, seed=k)
        for k, rho in enumerate((0.8, 0.9, 1.0))
    ]
    paths.append(write_model(tmp_path, "fit", "baseline", {"rho_l_beam": 0.6}))
    test = records.read(paths, draws=True)
    net, fit = (records.pool_seeds(test[test.model == name]).iloc[0] for name in ("net", "fit"))
    assert (net.seeds, fit.seeds) == (3, 1)
    assert net.value == pytest.approx(0.9) and net.seed_scatter == pytest.approx(0.1)
    assert net.lo <= 0.8 and net.hi >= 1.0
    assert np.isnan(fit.seed_scatter)
    assert fit[["lo", "hi"]].tolist() == test[test.model == "fit"].iloc[0][["lo", "hi"]].tolist()


def test_reference_of_several_seeds_has_the_interval_of_one(tmp_path):
    paths = [
        write_model(
            tmp_path,
            "net",
            "network",
            {"rho_l_beam": 0.9},
            seed=k,
            scatter=0,
            references={"dust": {"rho_l_beam": 0.7}},
        )
        for k in range(2)
    ]
    test = records.read(paths, draws=True)
    pooled = records.pool_seeds(test).set_index("of")
    single = test[test["of"] == "dust"].iloc[0]
    assert pooled.loc["dust", ["lo", "hi"]].tolist() == pytest.approx([single.lo, single.hi])


@pytest.mark.parametrize(
    ("better", "best", "worse"),
    [("higher", 1, 0.5), ("lower", 0, 3), ("zero", 0, -1), ("one", 1, 0.2), ("one", 1, -1)],
)
def test_loss_is_least_for_the_best_value(better, best, worse):
    assert records.LOSS[better](best) < records.LOSS[better](worse)


def test_loss_of_a_coverage_is_least_at_one_sigma():
    assert abs(records.LOSS["nominal"](0.6827)) < records.LOSS["nominal"](0.7)
