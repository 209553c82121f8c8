import subprocess
import sys

import pytest
import tensorflow as tf

from ben_tf import errors
from ben_tf import gpu_compiler
from ben_tf.training import devices

_ABORTS = (
    "import os, sys\n"
    "sys.stderr.write(\"LLVM ERROR: PTX version 8.5 does not support 'sm_120'."
    '\\n")\n'
    "sys.stderr.flush()\nos.abort()\n"
)


@pytest.fixture
def machine(monkeypatch):
    """A machine with one GPU: sets its capability and the trial's program."""

    def set_up(capability, program):
        gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
        details = (
            {} if capability is None else {"compute_capability": capability}
        )
        monkeypatch.setattr(
            tf.config, "list_physical_devices", lambda kind: [gpu]
        )
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda _: details
        )
        monkeypatch.setattr(
            tf.sysconfig,
            "get_build_info",
            lambda: {"cuda_compute_capabilities": ["sm_60", "compute_90"]},
        )
        monkeypatch.setattr(gpu_compiler, "_PROGRAM", program)

    gpu_compiler.fault.cache_clear()
    yield set_up
    gpu_compiler.fault.cache_clear()


def test_newer_gpu_whose_trial_dies_is_named(machine):
    machine((12, 0), _ABORTS)
    fault = gpu_compiler.fault()
    assert tf.__version__ in fault
    assert "capability 12.0: LLVM ERROR: PTX version 8.5" in fault
    assert not fault.endswith(".")


def test_newer_gpu_whose_trial_succeeds_is_served(machine):
    machine((12, 0), "")
    assert gpu_compiler.fault() == ""


@pytest.mark.parametrize("capability", [(9, 0), (9, 9), (6, 1), None])
def test_known_gpu_is_not_tried(machine, capability):
    machine(capability, _ABORTS)
    assert gpu_compiler.fault() == ""


def test_build_that_names_no_gpu_is_not_tried(machine, monkeypatch):
    machine((12, 0), _ABORTS)
    monkeypatch.setattr(tf.sysconfig, "get_build_info", dict)
    assert gpu_compiler.fault() == ""


def test_trial_that_hangs_is_ended(machine, monkeypatch):
    machine((12, 0), "while True: pass")
    monkeypatch.setattr(gpu_compiler, "_TIMEOUT_S", 0.5)
    assert "did not end within" in gpu_compiler.fault()


def test_trial_runs_as_a_process_without_the_cluster(machine, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    machine(
        (12, 0),
        "import os\nassert 'TF_CONFIG' not in os.environ\n"
        "assert os.environ['TF_FORCE_GPU_ALLOW_GROWTH'] == 'true'\n",
    )
    assert gpu_compiler.fault() == ""


def test_own_program_runs_where_there_is_no_gpu():
    subprocess.run(
        [sys.executable, "-c", gpu_compiler._PROGRAM], check=True, timeout=300
    )


def test_training_goes_on_without_xla(machine, monkeypatch, capsys):
    one = devices.make_devices("one_device")
    machine((12, 0), _ABORTS)
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: [object()]
    )
    assert not one.jit_compile("auto")
    assert "Training goes on without XLA." in capsys.readouterr().out
    assert not one.jit_compile("off")
    assert capsys.readouterr().out == ""
    with pytest.raises(errors.UserError, match=r"PTX.*`jit_compile=auto` or"):
        one.jit_compile("on")
