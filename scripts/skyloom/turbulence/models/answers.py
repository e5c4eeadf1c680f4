"""The two things that a network may learn, `class` and `index`: likelihood, scores, what eight
views say together.

An answer has no weights; what it fits to the validation split stands in a buffer, which the
checkpoint carries.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skyloom.scores.forecasts import NOMINAL
from skyloom.scores.thresholds import best_threshold

LOG_SPREAD = (-4.0, 1.0)  # bounds of ln(spread), in deviations of the training indices
CERTAIN = (
    1e-6  # probability that a network may leave to the other class, so that its logit is finite
)


class ClassAnswer(nn.Module):
    """The probability of the steeper class, from one output, its logit; `threshold` is a
    logit too.
    """

    outputs = 1

    def __init__(self, meta: dict):
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Cross entropy [nat], (n,)."""
        return binary_cross_entropy_with_logits(output[:, 0], batch["label"], reduction="none")

    def linear(self, features: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weights (1, feature) and bias (1,) of the linear discriminant of normalised features (n,
        feature).
        """
        from sklearn.discriminant_analysis import (
            LinearDiscriminantAnalysis,
        )  # loaded by the training of a hybrid alone

        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
            features.double(), truth["label"]
        )
        return torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)

    def score(self, output: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        wrong = (output[:, 0] > 0) != batch["label"].bool()
        return {"cross_entropy": self.loss(output, batch), "error": wrong.float()}

    def predict(self, outputs: Tensor) -> dict[str, Tensor]:
        """Outputs (view, n, 1) -> `prediction` and `balanced`, (n, 1)."""
        probability = outputs.sigmoid().mean(0)
        return {
            "prediction": probability,
            "balanced": (probability.logit(CERTAIN) - self.threshold).sigmoid(),
        }

    def calibrate(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
        """The threshold of the best balanced accuracy; of several that are as good, the one in
        their middle.
        """
        logit = self.predict(outputs)["prediction"][:, 0].logit(CERTAIN)
        steep = batch["label"].bool()
        self.threshold.fill_(best_threshold(logit.double().cpu().numpy(), steep.cpu().numpy()))


class IndexAnswer(nn.Module):
    """The index and its 1-sigma, from two outputs, mean and ln(spread) (Nix & Weigend 1994)."""

    outputs = 2

    def __init__(self, meta: dict):
        super().__init__()
        self.mean, self.std = meta["index_mean"], meta["index_std"]
        self.register_buffer("widening", torch.ones(()))

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood of the index in deviations of the training set, without the
        constant, (n,).
        """
        mean, log_spread = self.normal(output)
        error = (batch["index"] - self.mean) / self.std - mean
        return log_spread + (error * (-log_spread).exp()).square() / 2

    def linear(self, features: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weights (2, feature) and bias (2,) of ridge regression on normalised features (n,
        feature): one spread.
        """
        from sklearn.linear_model import Ridge

        features, target = features.double(), ((truth["index"] - self.mean) / self.std).double()
        fitted = Ridge(alpha=1.0).fit(features, target)
        weight, bias = torch.from_numpy(fitted.coef_), torch.tensor(fitted.intercept_)
        low, high = LOG_SPREAD
        log_spread = (target - features @ weight - bias).std(correction=0).log()
        place = ((log_spread - low) / (high - low)).logit(1e-3)
        return torch.stack([weight, torch.zeros_like(weight)]), torch.stack([bias, place])

    def score(self, output: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean, _ = self.normal(output)
        error = self.mean + self.std * mean - batch["index"]
        return {"nll": self.loss(output, batch), "squared_error": error.square()}

    def predict(self, outputs: Tensor) -> dict[str, Tensor]:
        """Outputs (view, n, 2) -> `prediction` and `spread`, (n, 1), moments of the mixture of the
        views.
        """
        mean, log_spread = self.normal(outputs)
        variance = (2 * log_spread).exp().mean(0) + mean.var(0, correction=0)
        return {
            "prediction": (self.mean + self.std * mean.mean(0))[:, None],
            "spread": (self.widening * self.std * variance.sqrt())[:, None],
        }

    def calibrate(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
        """The factor on the spread with which 68.27 % of the errors are within one."""
        found = self.predict(outputs)
        error = (found["prediction"][:, 0] - batch["index"]).abs() / found["spread"][:, 0]
        self.widening *= error.double().quantile(NOMINAL).float()

    @staticmethod
    def normal(output: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and ln(spread) in deviations of the training indices."""
        low, high = LOG_SPREAD
        return output[..., 0], low + (high - low) * output[..., 1].sigmoid()


ANSWERS = {"class": ClassAnswer, "index": IndexAnswer}
