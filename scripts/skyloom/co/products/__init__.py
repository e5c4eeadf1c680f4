"""A trained model on the whole sky: predicted tile by tile, blended, written as a HEALPix product.

The quality of the product is measured here, too.
"""
