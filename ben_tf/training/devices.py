"""From a flag to a tf.distribute strategy, and what several workers need.

With `--strategy=multi_worker` the same command runs on every machine, on a
workdir that all can reach. TensorFlow's own variable says who is who, here for
the first of two:

    TF_CONFIG='{"cluster": {"worker": ["a:2222", "b:2222"]},
                "task": {"type": "worker", "index": 0}}'

Worker 0, the chief, writes the results. When a worker is lost, the others start
themselves anew and wait for it; once the same command runs on its machine
again, all go on from the last checkpoint.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from ben_tf import errors
from ben_tf import workdir as workdir_lib

# What TensorFlow raises in the others when a worker is lost.
LOST_WORKER = (tf.errors.UnavailableError, tf.errors.AbortedError)

_STARTS_VARIABLE = "BEN_TF_STARTS_ANEW"
_MAX_STARTS = 20


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the strategy that `--strategy` names.

    Args:
      name: "auto" mirrors the model over all GPUs, and takes the one device
        where there is no more; "one_device" takes the first GPU or the CPU;
        "mirrored" takes all GPUs, or all logical CPU devices; "multi_worker"
        those of all machines of TF_CONFIG, and waits for them; "tpu" the TPU
        that the environment names.

    "multi_worker" and "tpu" come before anything else that TensorFlow does.

    Raises:
      UserError: No TPU, or no usable TF_CONFIG.
      ValueError: Unknown name.
    """
    if name == "tpu":
        return _tpu_strategy()
    if name == "multi_worker":
        return _multi_worker_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices]
        )
    if name in ("auto", "one_device"):
        return tf.distribute.OneDeviceStrategy(devices[0].name)
    raise ValueError(
        "Unknown strategy. Expected one of auto, one_device, mirrored, "
        f"multi_worker, tpu. Received: {name!r}"
    )


def _multi_worker_strategy() -> tf.distribute.Strategy:
    """Connects to the other workers."""
    try:
        content = json.loads(os.environ["TF_CONFIG"])
        content["cluster"]["worker"][content["task"]["index"]]
        is_worker = content["task"]["type"] == "worker"
    except (KeyError, ValueError, TypeError, IndexError):
        is_worker = False
    if not is_worker:
        raise errors.UserError(
            "--strategy=multi_worker needs the variable TF_CONFIG. Expected "
            '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": '
            '"worker", "index": 0}}, with another index on each machine. '
            f"Received: {os.environ.get('TF_CONFIG', 'none')}"
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Processes that train together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return strategy.cluster_resolver.cluster_spec().num_tasks("worker")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes results."""
    return num_workers(strategy) == 1 or not strategy.cluster_resolver.task_id


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns once every worker has called it."""

    @tf.function
    def count() -> tf.Tensor:
        ones = strategy.run(lambda: tf.constant(1.0))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

    if num_workers(strategy) > 1:
        count().numpy()


@contextlib.contextmanager
def folder_to_write(
    strategy: tf.distribute.Strategy, workdir: workdir_lib.Workdir
) -> Iterator[workdir_lib.Workdir]:
    """The workdir; for workers beside the chief a folder that vanishes.

    All must take part in writing a checkpoint, whose files would collide.
    """
    if is_chief(strategy):
        yield workdir
        return
    with tempfile.TemporaryDirectory() as folder:
        yield workdir_lib.Workdir(folder)


def start_anew(error: tf.errors.OpError) -> None:
    """Replaces this process by one with the same command.

    TensorFlow cannot connect a process to its workers twice.

    Raises:
      UserError: That was done too often.
    """
    count = int(os.environ.get(_STARTS_VARIABLE, "0")) + 1
    if count > _MAX_STARTS:
        reason = str(error).strip().partition("\n")[0]
        raise errors.UserError(
            f"Lost a worker {count} times: {reason} See what ends it, and start"
            " the same command on all machines to go on from the last "
            "checkpoint."
        ) from error
    print(
        "Lost a worker. Waiting for it, to go on from the last checkpoint.",
        flush=True,
    )
    os.environ[_STARTS_VARIABLE] = str(count)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def check_batches(strategy: tf.distribute.Strategy, batch_size: int) -> None:
    """Makes sure that each device gets as many patches of a batch.

    Otherwise the mean of their losses would not be that of the batch.

    Raises:
      UserError: It does not.
    """
    num_devices = strategy.num_replicas_in_sync
    if batch_size % num_devices:
        raise errors.UserError(
            f"A batch is shared by {num_devices} devices. Expected a multiple "
            f"of {num_devices}. Received: --batch_size={batch_size}"
        )


def check_compilation(strategy: tf.distribute.Strategy, mode: str) -> None:
    """Refuses what TensorFlow cannot compile.

    Raises:
      UserError: XLA is to compile a step that several CPUs share.
    """
    if (
        mode == "on"
        and strategy.num_replicas_in_sync > 1
        and not has_gpu()
        and not isinstance(strategy, tf.distribute.TPUStrategy)
    ):
        raise errors.UserError(
            "XLA cannot compile a step that several CPU devices share. "
            "Expected --jit_compile=auto or off with "
            f"{strategy.num_replicas_in_sync} of them. Received: on"
        )


def _tpu_strategy() -> tf.distribute.Strategy:
    """Connects to the TPU and starts it."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise errors.UserError(
            f"--strategy=tpu finds no TPU: {reason}. Expected a machine with "
            "one, or its address in the variable TPU_NAME. Use another "
            "--strategy elsewhere."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))
