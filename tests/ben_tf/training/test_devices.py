"""Strategies are what their names say."""

import os
import sys
import types

import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf.training import devices


def test_one_device():
    strategy = devices.make_devices("one_device").strategy
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.num_replicas_in_sync == 1


def test_no_tpu_is_one_sentence(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)

    def no_tpu():
        raise ValueError("Please provide a TPU Name to connect to.")

    monkeypatch.setattr(
        tf.distribute.cluster_resolver, "TPUClusterResolver", no_tpu
    )
    with pytest.raises(errors.UserError, match=r"finds no TPU.*TPU_NAME"):
        devices.make_devices("tpu")


def test_unknown_strategy():
    with pytest.raises(ValueError, match="'ring'"):
        devices.make_devices("ring")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "{",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]},'
        ' "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]},'
        ' "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1"], "chief": ["b:1"]},'
        ' "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_no_usable_tf_config_is_one_sentence(monkeypatch, value):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(errors.UserError, match=r"needs.*TF_CONFIG"):
        devices.make_devices("multi_worker")


def test_batches_are_shared_evenly():
    two = devices.Devices(types.SimpleNamespace(num_replicas_in_sync=2))
    assert two.patches_per_device(4) == 2
    with pytest.raises(errors.UserError, match="a multiple of 2"):
        two.patches_per_device(5)


def test_no_compilation_for_several_cpus():
    two = devices.Devices(types.SimpleNamespace(num_replicas_in_sync=2))
    assert not two.jit_compile("off")
    assert two.jit_compile("auto") == bool(
        tf.config.list_logical_devices("GPU")
    )
    with pytest.raises(errors.UserError, match="auto` or off"):
        two.jit_compile("on")


def test_compilation_on_one_device():
    one = devices.make_devices("one_device")
    assert one.jit_compile("on")
    assert not one.jit_compile("off")


def test_starts_anew_with_the_same_command_but_not_for_ever(monkeypatch):
    monkeypatch.setenv("BEN_TF_STARTS_ANEW", "0")
    commands = []
    monkeypatch.setattr(os, "execv", lambda *command: commands.append(command))
    error = tf.errors.UnavailableError(None, None, "Worker 1 is gone.")
    for _ in range(20):
        devices.restart_process(error)
    expected = (sys.executable, [sys.executable, *sys.orig_argv[1:]])
    assert commands == [expected] * 20
    with pytest.raises(errors.UserError, match="Worker 1 is gone"):
        devices.restart_process(error)
