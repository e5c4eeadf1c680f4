"""From column maps to labelled images: cuts, normalisation, splits."""
