"""A training has the memory of the smallest GPU, or that of the machine."""

from ben_tf import main_memory
from ben_tf.training import keras_internals
from ben_tf.training import machine_memory


def test_without_a_gpu_the_main_memory(monkeypatch):
    monkeypatch.setattr(keras_internals, "gpu_memory_bytes", lambda: [])
    monkeypatch.setattr(main_memory, "num_bytes", lambda: 7)
    assert machine_memory.find() == ("this machine", 7, True)


def test_the_smallest_gpu(monkeypatch):
    monkeypatch.setattr(keras_internals, "gpu_memory_bytes", lambda: [8, 5])
    assert machine_memory.find() == ("a GPU", 5, False)
