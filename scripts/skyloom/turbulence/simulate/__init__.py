"""Clouds from decaying isothermal turbulence: velocity field, solver, snapshots.

`plan` and `cost` use the standard library only.
"""
