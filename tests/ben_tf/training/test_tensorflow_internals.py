"""What `tensorflow_internals` relies on holds in the TensorFlow installed.

That threads run while it connects, tests/ben_tf/training/test_worker_meeting.py
tries with processes.
"""

import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from ben_tf.training import tensorflow_internals


def test_fails_as_the_function_that_it_replaces():
    tf.constant(0)  # Makes the context.
    handle = context.context()._context_handle
    enable = context.pywrap_tfe.TFE_EnableCollectiveOps
    with pytest.raises(tf.errors.InvalidArgumentError) as expected:
        enable(handle, b"no server")
    with tensorflow_internals.connecting_beside_threads():
        replaced = context.pywrap_tfe.TFE_EnableCollectiveOps
        with pytest.raises(tf.errors.InvalidArgumentError) as found:
            replaced(handle, b"no server")
    assert replaced is not enable
    assert context.pywrap_tfe.TFE_EnableCollectiveOps is enable
    assert found.value.message == str(expected.value)
    assert "ServerDef" in found.value.message
