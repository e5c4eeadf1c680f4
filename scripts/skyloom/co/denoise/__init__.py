"""Denoised CO, for training and for a look at what a signal-to-noise cut depends on; scores are
against the raw map.

`patch` filters within each patch, `sphere` over the whole sky; `choose` finds the latter's two
parameters on the null map, `compare` measures both where the truth is known.
"""
