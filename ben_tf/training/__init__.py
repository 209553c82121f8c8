"""A training run: its model, steps, checkpoints and devices."""
