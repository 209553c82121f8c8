"""An untrained network with one space for both sensors, exported and loaded."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from ben_tf import bigearthnet
from ben_tf import models
from ben_tf import saved_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> pathlib.Path:
    tf.keras.utils.set_random_seed(1)
    preprocessing = models.preprocessing_of("small_cnn")
    return saved_model.save(
        models.make_model(
            "small_cnn", preprocessing=preprocessing, fusion="shared"
        ),
        tmp_path_factory.mktemp("exchange") / "saved_model",
        preprocessing=preprocessing,
        name="small_cnn",
        trained_on_synthetic=False,
        trained_on=("bigearthnet_mm/v1/1.0.0",),
        epoch=3,
    )


@pytest.fixture(scope="session")
def served(folder) -> saved_model.ServedModel:
    return saved_model.load(folder)


@pytest.fixture(scope="session")
def raw() -> dict[str, np.ndarray]:
    """Two patches, with the ends of the range of a digital number."""
    random = np.random.default_rng(7)
    inputs = {
        name: random.integers(0, 10_000, (2, *grid.shape)).astype(grid.dtype)
        for name, grid in bigearthnet.GRIDS.items()
        if grid.sensor == "S2"
    }
    inputs["s2_10m"][0, 0, 0] = [0, 1, 65_534, 65_535]
    shape = (2, *bigearthnet.GRIDS["s1"].shape)
    inputs["s1"] = random.normal(-15, 5, shape).astype(np.float32)
    return inputs


@pytest.fixture(scope="session")
def expected(served, raw) -> dict[str, np.ndarray]:
    """What the SavedModel answers, endpoint by endpoint."""
    return {
        "probabilities": served.serve(raw).numpy(),
        "embedding": served.embed(raw).numpy(),
        "embedding_s1": served.embed(raw, modality="S1").numpy(),
        "embedding_s2": served.embed(raw, modality="S2").numpy(),
    }
