"""Networks that tell the turbulence index from an image."""
