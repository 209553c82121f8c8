"""Raster files of scenes -> the grids of a model, wherever they come from."""
