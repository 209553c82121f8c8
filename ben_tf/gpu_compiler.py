"""Whether XLA can compile programs for the GPUs of this machine.

TensorFlow runs its ready-made kernels on a GPU that is newer than itself, such
as one of NVIDIA's Blackwell family with TensorFlow 2.21. The first program that
XLA compiles for it ends the whole process: "LLVM ERROR: PTX version 8.5 does
not support target 'sm_120'" (TensorFlow's issue 111958). Python cannot catch
that, so a process of its own tries it first.
"""

import functools
import os
import re
import subprocess
import sys

import tensorflow as tf

_PROGRAM = """
import tensorflow as tf
for gpu in tf.config.list_logical_devices("GPU"):
    with tf.device(gpu.name):
        tf.function(lambda x: x * x + 1, jit_compile=True)(tf.ones(64)).numpy()
"""
_TIMEOUT_S = 180.0
# Workers of a training are connected already; GPUs are shared with the parent.
_REMOVED_VARIABLES = ("TF_CONFIG",)
_ADDED_VARIABLES = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
_ERROR = re.compile(r"PTX|LLVM ERROR|ptxas|XLA|FATAL|error", re.IGNORECASE)


@functools.cache
def fault() -> str:
    """Says why XLA cannot compile for a GPU that is there.

    Only for a GPU that is newer than those that TensorFlow was built for does
    this take time, some seconds, and only once in a process.

    Returns:
      A sentence without its full stop; "" if XLA can, or if there is no GPU.
    """
    built_for = _newest_built_for()
    newer = [
        capability
        for gpu in tf.config.list_physical_devices("GPU")
        if (capability := _capability(gpu)) > built_for
    ]
    if not newer:
        return ""
    reason = _try(_PROGRAM)
    if not reason:
        return ""
    return (
        f"XLA of TensorFlow {tf.__version__} cannot compile for this GPU, of "
        f"compute capability {max(newer)[0]}.{max(newer)[1]}: {reason}"
    )


def _capability(gpu: tf.config.PhysicalDevice) -> tuple[int, int]:
    """Compute capability; (0, 0) of a GPU that has none, such as AMD's."""
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("compute_capability", (0, 0))


def _newest_built_for() -> tuple[int, int]:
    """The newest compute capability that TensorFlow was built for.

    Minor versions of it run its code, so any of them counts as built for. A
    build for no GPU of NVIDIA's names none.
    """
    names = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ())
    numbers = [int(n) for name in names for n in re.findall(r"\d+$", name)]
    return (max(numbers) // 10, 9) if numbers else (sys.maxsize, 0)


def _try(program: str) -> str:
    """Runs a program of Python's in a process of its own.

    Returns:
      "" if it ends as it should; otherwise the line that tells why not.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in _REMOVED_VARIABLES
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | _ADDED_VARIABLES,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a trial did not end within {_TIMEOUT_S:.0f} seconds"
    if not done.returncode:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines()]
    telling = [line for line in lines if _ERROR.search(line)]
    # Python's own traceback ends with the reason, as a fatal error does.
    reason = (telling or lines or [f"exit code {done.returncode}"])[-1]
    return reason.rstrip(".")[:200]
