"""Test-set scores of a predicted CO map, in K km/s, against the raw target with its error map."""

from skyloom.co.evaluate.evaluate import evaluate, validate, validation_rows

__all__ = ["evaluate", "validate", "validation_rows"]
