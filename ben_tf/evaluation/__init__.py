"""Predictions of a split, their scores, and the paper beside them."""
