"""CO emission of molecular clouds from N(HI) and 857 GHz dust, over the full sky."""
