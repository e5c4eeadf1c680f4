"""The turbulence index of molecular clouds from maps of their column density."""

NEIGHBOURS = 2  # seeds 2m and 2m + 1, of either class where classes take turns, go to one split
