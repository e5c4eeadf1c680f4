"""Denoised CO, for training and to measure the effect of a signal-to-noise cut.

Scores are computed against the raw map. `patch` filters within each patch, `sphere` over the whole
sky. `choose` finds the two parameters of the latter on the null map. `compare` measures both on a
sky whose truth is known.
"""
