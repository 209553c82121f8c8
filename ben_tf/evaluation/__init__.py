"""Predictions of a split, their scores, and the paper's next to them."""
