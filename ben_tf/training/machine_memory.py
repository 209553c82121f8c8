"""How much memory this machine has for a training."""

from typing import NamedTuple

from ben_tf import main_memory
from ben_tf.training import keras_internals


class Memory(NamedTuple):
    """Memory that batches must fit into.

    Attributes:
      name: Whose it is, to be shown.
      num_bytes: Of each device; all CPU devices share the memory.
      is_shared: Whether all devices share it.
    """

    name: str
    num_bytes: int
    is_shared: bool


def find() -> Memory:
    """That of the smallest GPU where there is one, else the main memory."""
    gpus = keras_internals.gpu_memory_bytes()
    if gpus:
        return Memory("a GPU", min(gpus), is_shared=False)
    return Memory("this machine", main_memory.num_bytes(), is_shared=True)
