"""Likelihoods of the two things that a network learns, `class` and `index`.

Each has loss, scores, the prediction from eight views, and a calibration. A likelihood has no
weights; buffers hold what is fitted to the validation split.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skyloom.networks.likelihoods import bounded, gaussian_nll, mixture, unbounded, widening
from skyloom.scores.thresholds import best_threshold

LOG_SPREAD = (-4.0, 1.0)  # bounds of ln(spread), in deviations of the training indices
LEAST_PROBABILITY = 1e-6  # of either class, so that logits are finite


class ClassLikelihood(nn.Module):
    """The probability of the steeper class, from one output, its logit; `threshold` is a logit."""

    outputs = 1

    def __init__(self, meta: dict):
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Cross entropy [nat], (n,)."""
        return binary_cross_entropy_with_logits(output[:, 0], batch["label"], reduction="none")

    def linear(self, features: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weights (1, feature) and bias (1,) of the linear discriminant of features (n, feature).

        The features must be normalised.
        """
        # here, since only the training of a hybrid needs it
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        linear = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        linear.fit(features.double(), truth["label"])
        return torch.from_numpy(linear.coef_), torch.from_numpy(linear.intercept_)

    def score(self, output: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        wrong = (output[:, 0] > 0) != batch["label"].bool()
        return {"cross_entropy": self.loss(output, batch), "error": wrong.float()}

    def predict(self, outputs: Tensor) -> dict[str, Tensor]:
        """Outputs (view, n, 1) -> `prediction` and `balanced`, (n, 1)."""
        probability = outputs.sigmoid().mean(0)
        balanced = (probability.logit(LEAST_PROBABILITY) - self.threshold).sigmoid()
        return {"prediction": probability, "balanced": balanced}

    def calibrate(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
        """The threshold of the best balanced accuracy; of several, the middle one."""
        logit = self.predict(outputs)["prediction"][:, 0].logit(LEAST_PROBABILITY)
        steep = batch["label"].bool()
        self.threshold.fill_(best_threshold(logit.double().cpu().numpy(), steep.cpu().numpy()))


class IndexLikelihood(nn.Module):
    """The index and its 1-sigma, from two outputs, the mean and an unbounded ln(spread)."""

    outputs = 2

    def __init__(self, meta: dict):
        super().__init__()
        self.mean, self.std = meta["index_mean"], meta["index_std"]
        self.register_buffer("widening", torch.ones(()))

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood of the normalised index, without the constant, (n,)."""
        mean, log_spread = self.normal(output)
        return gaussian_nll(mean, log_spread, (batch["index"] - self.mean) / self.std)

    def linear(self, features: Tensor, truth: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Weights (2, feature) and bias (2,) of ridge regression on features (n, feature).

        The features must be normalised; the spread is one number.
        """
        from sklearn.linear_model import Ridge

        features, target = features.double(), ((truth["index"] - self.mean) / self.std).double()
        ridge = Ridge(alpha=1.0).fit(features, target)
        weight, bias = torch.from_numpy(ridge.coef_), torch.tensor(ridge.intercept_)
        log_spread = (target - features @ weight - bias).std(correction=0).log()
        biases = torch.stack([bias, unbounded(log_spread, LOG_SPREAD)])
        return torch.stack([weight, torch.zeros_like(weight)]), biases

    def score(self, output: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        mean, _ = self.normal(output)
        error = self.mean + self.std * mean - batch["index"]
        return {"nll": self.loss(output, batch), "squared_error": error.square()}

    def predict(self, outputs: Tensor) -> dict[str, Tensor]:
        """Outputs (view, n, 2) -> `prediction` and `spread`, (n, 1), moments of their mixture."""
        means, log_spreads = self.normal(outputs)
        mean, variance = mixture(means, (2 * log_spreads).exp())
        return {
            "prediction": (self.mean + self.std * mean)[:, None],
            "spread": (self.widening * self.std * variance.sqrt())[:, None],
        }

    def calibrate(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
        """The factor on the spread with which 68.27 % of the errors are within one spread."""
        predicted = self.predict(outputs)
        error = predicted["prediction"][:, 0] - batch["index"]
        self.widening *= widening(error, predicted["spread"][:, 0])

    @staticmethod
    def normal(output: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and ln(spread) in deviations of the training indices."""
        return output[..., 0], bounded(output[..., 1], LOG_SPREAD)


LIKELIHOODS = {"class": ClassLikelihood, "index": IndexLikelihood}
