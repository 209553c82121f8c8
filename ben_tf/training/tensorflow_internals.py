"""Every use of a private part of TensorFlow for several workers.

Docstrings say which behaviour is relied on; tests/ben_tf/training/
test_tensorflow_internals.py fails where a version behaves otherwise.
"""

import contextlib
import ctypes
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python import _pywrap_tensorflow_internal
from tensorflow.python.eager import context


@contextlib.contextmanager
def connecting_beside_threads() -> Iterator[None]:
    """Lets Python's other threads run while TensorFlow connects workers.

    TensorFlow holds Python's lock until all workers are connected, so that no
    other thread can say anything and no signal is handled.

    Relies on the eager context calling `TFE_EnableCollectiveOps` of
    `pywrap_tfe` with a nameless capsule and bytes, and on the C function of
    that name, which ctypes calls without the lock.
    """
    module, name = context.pywrap_tfe, "TFE_EnableCollectiveOps"
    with_lock = getattr(module, name)
    setattr(module, name, _enable_collective_ops)
    try:
        yield
    finally:
        setattr(module, name, with_lock)


def _enable_collective_ops(handle: object, server: bytes) -> None:
    """Starts the server that `server` describes, and connects it.

    Raises:
      tf.errors.OpError: As TensorFlow's own does.
    """
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer_of.restype = ctypes.c_void_p
    library = ctypes.CDLL(_pywrap_tensorflow_internal.__file__)
    library.TFE_EnableCollectiveOps.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p),
        *(ctypes.c_size_t, ctypes.c_void_p),
    ]
    library.TFE_EnableCollectiveOps.restype = None
    library.TF_NewStatus.restype = ctypes.c_void_p
    library.TF_GetCode.argtypes = [ctypes.c_void_p]
    library.TF_Message.argtypes = [ctypes.c_void_p]
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_DeleteStatus.argtypes = [ctypes.c_void_p]
    library.TF_DeleteStatus.restype = None
    status = library.TF_NewStatus()
    try:
        library.TFE_EnableCollectiveOps(
            pointer_of(handle, None), server, len(server), status
        )
        if code := library.TF_GetCode(status):
            error = tf.compat.v1.errors.exception_type_from_error_code(code)
            message = library.TF_Message(status).decode(errors="replace")
            raise error(None, None, message)
    finally:
        library.TF_DeleteStatus(status)
