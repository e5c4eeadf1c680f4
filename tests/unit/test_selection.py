"""Which tests `make test STUDY=co` runs: those of the house and of the study."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import study_of


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        ("test_co_gan.py", "co"),
        ("test_dag_co_reruns.py", "co"),
        ("test_turbulence_plan.py", "turbulence"),
        ("test_scores_comparison.py", None),
        ("test_cli.py", None),
    ],
)
def test_file_name_says_whose_test_it_is(file, owner):
    assert study_of(SimpleNamespace(path=Path("tests/unit") / file)) == owner


def test_parameter_of_a_house_test_says_whose_case_it_is():
    item = SimpleNamespace(path=Path("test_generated.py"))
    item.callspec = SimpleNamespace(params={"study": "co"})
    assert study_of(item) == "co"
