"""One module a network, its loss beside it."""
