import pytest

from ben_tf import main_memory
from ben_tf.training import keras_internals
from ben_tf.training import machine_memory


@pytest.fixture(autouse=True)
def _main_memory(monkeypatch):
    monkeypatch.setattr(main_memory, "installed_bytes", lambda: 12345)


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [([], ("this machine", 12345, True)), ([8, 5], ("a GPU", 5, False))],
)
def test_memory_that_batches_must_fit_into(monkeypatch, gpus, expected):
    monkeypatch.setattr(keras_internals, "gpu_memory_bytes", lambda: gpus)
    assert machine_memory.find() == expected
