"""Clouds from decaying isothermal turbulence: velocity field, solver, snapshots; `plan` and `cost`
need no numpy.
"""
