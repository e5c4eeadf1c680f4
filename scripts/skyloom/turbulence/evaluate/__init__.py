"""Test-set scores of a predicted turbulence index, or of its class: shallow or steep spectrum."""

from skyloom.turbulence.evaluate.evaluate import evaluate, validate, validation_rows

__all__ = ["evaluate", "validate", "validation_rows"]
