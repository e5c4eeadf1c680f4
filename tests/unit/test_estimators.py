"""scikit-learn models as bytes in a checkpoint."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException

from skyloom.estimators import packed, unpacked

TREES = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@pytest.mark.parametrize(
    ("model", "trusted"),
    [
        (make_pipeline(StandardScaler(), Ridge()), []),
        (HistGradientBoostingRegressor(max_iter=10, random_state=0), TREES),
    ],
)
def test_model_predicts_the_same_after_a_weights_only_checkpoint(model, trusted, tmp_path):
    x, y = np.random.default_rng(0).normal(size=(2, 200))
    model.fit(x[:, None], x + y)
    torch.save({"state": packed(model)}, tmp_path / "best.ckpt")
    state = torch.load(tmp_path / "best.ckpt", weights_only=True)["state"]
    assert state.dtype == torch.uint8 and state.ndim == 1
    restored = unpacked(state, trusted)
    np.testing.assert_array_equal(restored.predict(x[:, None]), model.predict(x[:, None]))


def test_class_that_is_not_trusted_is_not_unpacked():
    model = HistGradientBoostingRegressor(max_iter=2).fit([[0.0], [1.0]] * 20, [0.0, 1.0] * 20)
    with pytest.raises(UntrustedTypesFoundException):
        unpacked(packed(model), [])
