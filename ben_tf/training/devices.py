"""The devices that a run trains on, in one process or in several.

With `strategy=multi_worker` the same command runs on every machine, on a
workdir that all can reach. TensorFlow's own variable says who is who, here for
the first of two:

    TF_CONFIG='{"cluster": {"worker": ["a:2222", "b:2222"]},
                "task": {"type": "worker", "index": 0}}'

Worker 0, the chief, writes the results. When a worker is lost, the others
restart and wait for it; once the same command runs on its machine again, all
resume from the last checkpoint.
"""

import contextlib
import dataclasses
import errno
import os
import re
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Literal

import msgspec
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import gpu_compiler
from ben_tf import workdir as workdir_lib
from ben_tf.training import tensorflow_internals
from ben_tf.training import worker_meeting

# What TensorFlow raises in the others when a worker is lost.
LOST_WORKER = (tf.errors.UnavailableError, tf.errors.AbortedError)

# How TensorFlow, XLA and TPUs report that memory is exhausted.
_MEMORY = re.compile(r"\bOOM\b|out.of.memory|allocat", re.IGNORECASE)
# XLA and CUDA report it as errors of other kinds, too.
_MEMORY_OF_XLA = re.compile(
    r"out.of.memory|RESOURCE_EXHAUSTED|failed to allocate", re.IGNORECASE
)
# What a file system raises as ResourceExhaustedError.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT)
_STARTS_VARIABLE = "BEN_TF_STARTS_ANEW"
_MAX_STARTS = 20


class _Cluster(msgspec.Struct, forbid_unknown_fields=True):
    """Addresses by job; of all jobs, this package has workers alone."""

    worker: list[str]


class _Task(msgspec.Struct):
    """Which of them a process is."""

    type: Literal["worker"]
    index: int


class _TFConfig(msgspec.Struct):
    """What TF_CONFIG says."""

    cluster: _Cluster
    task: _Task


@dataclasses.dataclass(frozen=True)
class Devices:
    """Devices that train together.

    Attributes:
      strategy: How TensorFlow distributes work over them.
    """

    strategy: tf.distribute.Strategy

    @property
    def num_workers(self) -> int:
        """Processes that train together."""
        if not isinstance(
            self.strategy, tf.distribute.MultiWorkerMirroredStrategy
        ):
            return 1
        return self.strategy.cluster_resolver.cluster_spec().num_tasks("worker")

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes results."""
        return self.num_workers == 1 or not (
            self.strategy.cluster_resolver.task_id
        )

    def wait_for_all(self) -> None:
        """Returns once every worker has called it."""
        strategy = self.strategy

        @tf.function
        def count() -> tf.Tensor:
            ones = strategy.run(lambda: tf.constant(1.0))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

        if self.num_workers > 1:
            count().numpy()

    @contextlib.contextmanager
    def folder_to_write(
        self, workdir: workdir_lib.Workdir
    ) -> Iterator[workdir_lib.Workdir]:
        """The workdir; for workers other than the chief a temporary one.

        All must take part in writing a checkpoint, whose files would collide.
        """
        if self.is_chief:
            yield workdir
            return
        with tempfile.TemporaryDirectory() as folder:
            yield workdir_lib.Workdir(folder)

    def patches_per_device(self, batch_size: int) -> int:
        """Patches of a batch for each device.

        Raises:
          UserError: The batch cannot be shared out evenly, so that the mean of
            the devices' losses would not be that of the batch.
        """
        num_devices = self.strategy.num_replicas_in_sync
        if batch_size % num_devices:
            raise errors.UserError(
                f"A batch is shared by {num_devices} devices. Expected a "
                f"multiple of {num_devices}. Received: "
                f"`batch_size={batch_size}`"
            )
        return batch_size // num_devices

    def jit_compile(self, mode: str) -> bool:
        """Whether to compile the training step with XLA.

        Args:
          mode: "on", "off", or "auto": on a GPU, where alone it is faster, and
            not if XLA cannot compile for it, which is printed.

        Raises:
          UserError: XLA is to compile a step that several CPUs share, or for a
            GPU that it cannot compile for.
        """
        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        num_devices = self.strategy.num_replicas_in_sync
        if (
            mode == "on"
            and num_devices > 1
            and not has_gpu
            and not isinstance(self.strategy, tf.distribute.TPUStrategy)
        ):
            raise errors.UserError(
                "XLA cannot compile a step that several CPU devices share. "
                f"Expected `jit_compile=auto` or off with {num_devices} of "
                "them. Received: `jit_compile=on`"
            )
        if mode == "off" or (mode == "auto" and not has_gpu):
            return False
        fault = gpu_compiler.fault() if has_gpu else ""
        if fault and mode == "on":
            raise errors.UserError(
                f"{fault}. Expected `jit_compile=auto` or off, or a TensorFlow "
                "that knows this GPU. Received: `jit_compile=on`"
            )
        if fault:
            print(f"{fault}. Training goes on without XLA.", flush=True)
        return not fault

    def distribute(
        self,
        make_part: Callable[..., tf.data.Dataset],
        batch_size: int,
    ) -> tf.data.Dataset:
        """Batches of which each worker reads its part.

        Args:
          make_part: Function (part=(index, count)) of a worker -> its part of
            every batch.
          batch_size: Patches in a batch, over all workers.
        """
        if self.num_workers == 1:
            # Keras shares batches out among the devices of one process.
            return make_part(part=(0, 1))

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = context.num_input_pipelines
            part = make_part(part=(context.input_pipeline_id, count))
            # One of the worker's devices takes one element.
            size = self.patches_per_device(batch_size)
            if size * count == batch_size:
                return part
            return part.rebatch(size, drop_remainder=True)

        return self.strategy.distribute_datasets_from_function(of_worker)


def make_devices(
    name: str, *, worker_timeout_s: float = config_lib.Config.worker_timeout_s
) -> Devices:
    """Connects to the devices that `strategy` names.

    Args:
      name: "auto" mirrors the model over all GPUs, and takes the one device
        where there is only one; "one_device" takes the first GPU or the CPU;
        "mirrored" takes all GPUs, or all logical CPU devices; "multi_worker"
        those of all machines of TF_CONFIG, and waits for them; "tpu" the TPU
        that the environment names.
      worker_timeout_s: Seconds to wait for other machines at most.

    "multi_worker" and "tpu" come before anything else that TensorFlow does.

    Raises:
      UserError: No TPU, no usable TF_CONFIG, or a machine that did not come.
      ValueError: Unknown name.
    """
    if name not in STRATEGIES:
        raise errors.unknown("strategy", name, STRATEGIES)
    if name == "multi_worker":
        workers = _workers()
        worker_meeting.wait_for_all(*workers, timeout_s=worker_timeout_s)
        return Devices(
            worker_meeting.connect(
                STRATEGIES[name], *workers, timeout_s=worker_timeout_s
            )
        )
    return Devices(STRATEGIES[name]())


def _logical_devices() -> list[str]:
    """Names of all GPUs, or of all CPU devices where there is no GPU."""
    gpus = tf.config.list_logical_devices("GPU")
    found = gpus or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


def _one_device() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(_logical_devices()[0])


def _mirrored() -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(_logical_devices())


def _auto() -> tf.distribute.Strategy:
    num_gpus = len(tf.config.list_logical_devices("GPU"))
    return _mirrored() if num_gpus > 1 else _one_device()


def _workers() -> tuple[list[str], int]:
    """Addresses of all workers, and which of them this process is.

    Raises:
      UserError: TF_CONFIG does not say so.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        found = msgspec.json.decode(text, type=_TFConfig)
        if not 0 <= found.task.index < len(found.cluster.worker):
            raise ValueError("no address for this index")
    except ValueError as error:
        raise errors.UserError(
            "`strategy=multi_worker` needs the variable TF_CONFIG. Expected "
            '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": '
            '"worker", "index": 0}}, with another index on each machine. '
            f"Received: {text or 'none'} ({error})"
        ) from error
    return found.cluster.worker, found.task.index


def _multi_worker() -> tf.distribute.Strategy:
    """Connects to the other workers."""
    with tensorflow_internals.connecting_beside_threads():
        return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu() -> tf.distribute.Strategy:
    """Connects to the TPU and starts it."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise errors.UserError(
            f"`strategy=tpu` finds no TPU: {errors.first_line(error)}. "
            "Expected a machine with one, or its address in the variable "
            "TPU_NAME. Use another `strategy` elsewhere."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


STRATEGIES: Mapping[str, Callable[[], tf.distribute.Strategy]] = {
    "auto": _auto,
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device has run out of memory, not a disk out of space."""
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return not any(os.strerror(code) in str(error) for code in _DISK_ERRORS)
    return isinstance(error, tf.errors.OpError) and bool(
        _MEMORY_OF_XLA.search(str(error))
    )


def out_of_memory(error: Exception, batch_size: int) -> errors.UserError:
    """The error that a training step does not fit into memory."""
    # In front of the reason Keras puts where in the graph it happened.
    lines = [x for x in str(error).splitlines() if _MEMORY.search(x)]
    reason = lines[0].strip().rstrip(".") if lines else errors.first_line(error)
    return errors.UserError(
        f"Memory does not suffice for a step of {batch_size} patches: "
        f"{reason[:200]}. Lower `batch_size` or use a `precision` of 16 bits."
    )


def restart_process(error: tf.errors.OpError) -> None:
    """Restarts this process with the same command, to wait for the lost one.

    TensorFlow cannot connect a process to its workers twice.

    Raises:
      UserError: That was done too often.
    """
    count = int(os.environ.get(_STARTS_VARIABLE, "0")) + 1
    if count > _MAX_STARTS:
        raise errors.UserError(
            f"Lost a worker {count} times: {errors.first_line(error)}. See "
            "what ends it, and start the same command on all machines to "
            "resume from the last checkpoint."
        ) from error
    print(
        "Lost a worker. Waiting for it, to resume from the last checkpoint.",
        flush=True,
    )
    os.environ[_STARTS_VARIABLE] = str(count)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
