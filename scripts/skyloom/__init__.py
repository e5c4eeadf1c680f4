"""Skyloom: from survey maps and simulations to trained networks and test-set figures."""
