"""Strategies are what their names say."""

import pytest
import tensorflow as tf

from ben_tf import command_line
from ben_tf import distribution


def test_one_device():
    strategy = distribution.make_strategy("one_device")
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.num_replicas_in_sync == 1


def test_no_tpu_is_one_sentence(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)

    def no_tpu():
        raise ValueError("Please provide a TPU Name to connect to.")

    monkeypatch.setattr(
        tf.distribute.cluster_resolver, "TPUClusterResolver", no_tpu
    )
    with pytest.raises(command_line.UserError, match=r"finds no TPU.*TPU_NAME"):
        distribution.make_strategy("tpu")


def test_unknown_strategy():
    with pytest.raises(ValueError, match="'ring'"):
        distribution.make_strategy("ring")
