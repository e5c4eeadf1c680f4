"""The turbulence index of molecular clouds from maps of their column density."""
