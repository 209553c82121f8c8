"""How long steps take: some are taken and measured, within a limit of time."""

import contextlib
import dataclasses
import itertools
import math
import signal
import threading
import time
import types
from collections.abc import Iterator

import tensorflow as tf
import tqdm

from ben_tf.data import records
from ben_tf.training import devices
from ben_tf.training import runs

# After the first one, which compiles.
FEWEST_STEPS = 2
_MOST_STEPS = 20
# Once there are enough steps, no more are taken after so many seconds.
_ENOUGH_S = 5.0
# A CPU takes seconds for a step of the paper's batch: first comes a small one.
_FIRST_PATCHES = 4


@dataclasses.dataclass(frozen=True)
class StepTime:
    """Steps that were measured.

    Attributes:
      patches: Of each step, over all devices.
      compilation_s: Until the end of the first step.
      step_s: Seconds of each step after it, reading included.
    """

    patches: int
    compilation_s: float
    step_s: tuple[float, ...]

    @property
    def patch_s(self) -> float:
        """Mean seconds for a patch."""
        return sum(self.step_s) / len(self.step_s) / self.patches


def measure(
    run: runs.Run, *, most_patches: int, limit_s: float
) -> StepTime | None:
    """Takes steps of a batch that can be measured in time.

    On a CPU a small batch tells how long larger ones take; if there is time,
    the largest batch that can be measured follows. A GPU takes as long for a
    small batch as for a large one: there all steps are of `most_patches`.
    Several workers must do the same, whatever their clocks and their memory
    say: all steps of the run's batch.

    Changes the weights in memory, and writes nothing.

    Args:
      run: A compiled run that is not used afterwards.
      most_patches: Batch that fits into memory.
      limit_s: Seconds that it may take. What is compiled or computed then is
        not cut short; what several workers do together has no limit.

    Returns:
      The steps of the largest batch; None if there was not enough time, or not
      enough patches.

    Raises:
      UserError: Memory does not suffice.
    """
    num_devices = run.devices.strategy.num_replicas_in_sync
    start = time.monotonic()
    if run.devices.num_workers > 1:
        return _steps(run, run.config.batch_size, enough_s=math.inf)
    if tf.config.list_logical_devices("GPU"):
        return _within(limit_s, run, most_patches)
    first = min(_FIRST_PATCHES * num_devices, most_patches)
    found = _within(limit_s, run, first)
    if found is None:
        return None
    left_s = limit_s - (time.monotonic() - start) - found.compilation_s
    # The first step computes as well.
    affordable = int(left_s / (found.patch_s * (FEWEST_STEPS + 1)))
    larger = min(affordable // num_devices * num_devices, most_patches)
    if larger <= first:
        return found
    return _within(left_s + found.compilation_s, run, larger) or found


def _within(limit_s: float, run: runs.Run, num_patches: int) -> StepTime | None:
    """Measures steps; None if it has not come to an end in time."""
    try:
        with _alarm(limit_s):
            return _steps(run, num_patches)
    except _OutOfTime:
        return None


def _steps(
    run: runs.Run, num_patches: int, *, enough_s: float = _ENOUGH_S
) -> StepTime | None:
    """Takes steps of so many patches, few if they take `enough_s` seconds."""
    in_epoch = run.steps_per_epoch * run.config.batch_size // num_patches
    num_steps = min(_MOST_STEPS + 1, in_epoch)
    if num_steps <= FEWEST_STEPS:
        return None
    changed = dataclasses.replace(
        run,
        steps_per_epoch=in_epoch,
        config=dataclasses.replace(
            run.config,
            batch_size=num_patches,
            # To fill it takes long, once in an epoch.
            shuffle_buffer=min(run.config.shuffle_buffer, num_patches),
            # To fill it takes as long as an epoch.
            cache="",
        ),
    )
    clock = _Clock(num_steps, enough_s)
    start = time.perf_counter()
    try:
        with contextlib.closing(clock), records.explained_errors(run.builder):
            changed.fitted.fit(
                changed.training_data(0),
                steps_per_epoch=num_steps,
                verbose=0,
                callbacks=[clock],
            )
    except tf.errors.OpError as error:
        if not devices.is_out_of_memory(error):
            raise
        raise devices.out_of_memory(error, num_patches) from error
    steps = [end - begin for begin, end in itertools.pairwise(clock.ends)]
    return StepTime(num_patches, clock.ends[0] - start, tuple(steps))


class _Clock(tf.keras.callbacks.Callback):
    """Records when each step ends, shows progress, and stops when it may."""

    def __init__(self, num_steps: int, enough_s: float):
        super().__init__()
        self._enough_s = enough_s
        self.ends: list[float] = []
        self._bar = tqdm.tqdm(
            total=num_steps,
            desc="measuring",
            unit="step",
            leave=False,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        # Reading the loss waits for the step to end.
        float(logs["loss"])
        self.ends.append(time.perf_counter())
        self._bar.update()
        if (
            len(self.ends) > FEWEST_STEPS
            and self.ends[-1] - self.ends[0] > self._enough_s
        ):
            self.model.stop_training = True

    def close(self) -> None:
        self._bar.close()


class _OutOfTime(Exception):
    """The alarm rang."""


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raises `_OutOfTime` in the block after so many seconds.

    Python interrupts its own code only, and only the main thread: building a
    graph, which takes longest of all, but no operation of TensorFlow.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: types.FrameType | None) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, ring)
    # 0 would never ring.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
