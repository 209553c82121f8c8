"""What a run will take: parameters, memory, steps, bytes read and time.

Sizes come from the compiled run; the time from some measured steps.
"""

import dataclasses
import itertools
import time
from collections.abc import Iterable

import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm

from ben_tf.data import records
from ben_tf.data import subsets
from ben_tf.training import devices
from ben_tf.training import keras_internals
from ben_tf.training import runs

NUM_MEASURED_STEPS = 20


@dataclasses.dataclass(frozen=True)
class Size:
    """What a run takes. Bytes of memory are those of each device.

    Attributes:
      trainable_parameters: Numbers that training changes.
      other_parameters: Statistics of batch normalisation, and frozen weights.
      weight_bytes: All parameters.
      gradient_bytes: One number for each trainable parameter.
      slot_bytes: What the optimiser keeps for each parameter.
      activation_bytes: Estimate: the outputs of all layers for the device's
        part of a batch, as if all were kept for the backward pass. Scratch
        memory of convolutions is extra; what XLA fuses is less.
      training_bytes: Read from files in an epoch for training.
      validation_bytes: Read from files in an epoch for validation.
    """

    trainable_parameters: int
    other_parameters: int
    weight_bytes: int
    gradient_bytes: int
    slot_bytes: int
    activation_bytes: int
    training_bytes: int
    validation_bytes: int


def size_of(run: runs.Run) -> Size:
    """Works out the size of a run; takes no step.

    Raises:
      UserError: The dataset has no such validation split.
    """
    config = run.config
    # With a loss on embeddings, `fitted` may hold weights of its own.
    trainable = run.fitted.trainable_variables
    patches = run.devices.patches_per_device(config.batch_size)
    return Size(
        trainable_parameters=_num_elements(trainable),
        other_parameters=_num_elements(run.fitted.non_trainable_variables),
        weight_bytes=_num_bytes(run.fitted.variables),
        gradient_bytes=_num_bytes(trainable),
        slot_bytes=_slot_bytes(run.optimizer),
        activation_bytes=_bytes_per_patch(run.model) * patches,
        training_bytes=_bytes_read(run.builder, config.train_split),
        validation_bytes=_bytes_read(run.builder, config.validation_split),
    )


def measure(
    run: runs.Run, *, num_steps: int = NUM_MEASURED_STEPS
) -> list[float]:
    """Takes training steps, reading included, and measures them.

    Changes the weights in memory, and writes nothing.

    Args:
      run: A compiled run that is not used afterwards.
      num_steps: Steps to measure; fewer if an epoch has fewer.

    Returns:
      Seconds of each step. The first one of the epoch, which compiles, is left
      out, so nothing remains of an epoch with one step.

    Raises:
      UserError: Memory does not suffice.
    """
    num_steps = min(num_steps + 1, run.steps_per_epoch)
    clock = _Clock(num_steps)
    try:
        with records.explained_errors(run.builder):
            run.fitted.fit(
                run.training_data(0),
                steps_per_epoch=num_steps,
                verbose=0,
                callbacks=[clock],
            )
    except tf.errors.ResourceExhaustedError as error:
        raise devices.out_of_memory(error, run.config.batch_size) from error
    return [end - start for start, end in itertools.pairwise(clock.ends)]


def describe(run: runs.Run) -> str:
    """What a run takes, in lines to print.

    Raises:
      UserError: The dataset has no such validation split.
    """
    config, size = run.config, size_of(run)
    memory = {
        "weights": size.weight_bytes,
        "gradients": size.gradient_bytes,
        "optimiser": size.slot_bytes,
        "activations (estimate)": size.activation_bytes,
    }
    rows = {
        "model": f"{config.model}, {config.modality}, {config.precision}",
        "parameters": f"{size.trainable_parameters:,} trainable, "
        f"{size.other_parameters:,} not",
        "memory": ", ".join(
            f"{name} {_megabytes(part)}" for name, part in memory.items()
        ),
        "": f"about {_megabytes(sum(memory.values()))} on each of "
        f"{run.devices.strategy.num_replicas_in_sync} device(s); an estimate, "
        "without scratch memory",
        "steps": f"{run.steps_per_epoch:,} of {config.batch_size:,} patches an "
        f"epoch, {run.total_steps:,} in all {config.epochs:,} epochs",
        "reads": f"{_megabytes(size.training_bytes)} an epoch for training, "
        f"{_megabytes(size.validation_bytes)} for validation",
    }
    return "\n".join(f"{name:<12}{text}" for name, text in rows.items())


def describe_time(run: runs.Run, step_seconds: list[float]) -> str:
    """The estimate of the time as a line to print.

    Args:
      run: Says how many steps there are.
      step_seconds: From `measure`.
    """
    if not step_seconds:
        return f"{'time':<12}no estimate: the only step of an epoch compiles"
    mean = sum(step_seconds) / len(step_seconds)
    return (
        f"{'time':<12}about {_duration(mean * run.total_steps)}; an estimate "
        f"from the mean step, {mean:.3g} s with reading, of "
        f"{len(step_seconds)} measured; validation and compilation come on top"
    )


class _Clock(tf.keras.callbacks.Callback):
    """Records when each step ends, and shows progress."""

    def __init__(self, num_steps: int):
        super().__init__()
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

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self._bar.close()


def _num_elements(variables: Iterable[tf.Variable]) -> int:
    return sum(variable.shape.num_elements() for variable in variables)


def _num_bytes(variables: Iterable[tf.Variable]) -> int:
    return sum(
        variable.shape.num_elements() * variable.dtype.size
        for variable in variables
    )


def _slot_bytes(optimizer: tf.keras.optimizers.Optimizer) -> int:
    """Bytes of what an optimiser keeps, its counters left out."""
    variables = keras_internals.optimizer_variables(optimizer)
    return _num_bytes(v for v in variables if v.shape.rank)


def _bytes_per_patch(model: tf.keras.Model) -> int:
    """Bytes of all layers' outputs, in the dtypes that they have."""
    return sum(
        tensor.shape[1:].num_elements() * tensor.dtype.size
        for layer in model.layers
        for node in layer.inbound_nodes
        for tensor in tf.nest.flatten(node.outputs)
    )


def _bytes_read(builder: tfds.core.DatasetBuilder, split: str) -> int:
    """Bytes of the files of a split that are read, in its own share of each.

    TFRecord files have no index, so records that a part of a split leaves out
    at the front of a file, or by country, season or label, are read too.

    Raises:
      UserError: The dataset has no such split.
    """
    return sum(
        tf.io.gfile.stat(part.filename).length
        * (part.skip + part.take)
        // part.examples_in_shard
        for part in subsets.select(builder, split).files
    )


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def _duration(seconds: float) -> str:
    """Such as "42 s", "12.5 min" or "31.0 h"."""
    for limit, unit_seconds, unit in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / unit_seconds:.3g} {unit}"
    return f"{seconds / 3600:.1f} h"
