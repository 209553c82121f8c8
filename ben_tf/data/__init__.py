"""The built dataset -> batches of what a network takes."""
