"""What a run will take: parameters, memory, steps, bytes read and time.

Sizes come from the compiled run; the time from steps that `step_time` takes.
"""

import dataclasses
from collections.abc import Iterable

import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf.data import built_dataset
from ben_tf.data import patch_cache
from ben_tf.data import subsets
from ben_tf.training import keras_internals
from ben_tf.training import machine_memory
from ben_tf.training import runs
from ben_tf.training import step_time

# What the estimate may take of the memory; the rest is for scratch memory and
# the other programs.
_SHARE = 0.8


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
      buffer_bytes: Records in the shuffle buffer, in main memory.
      cache_bytes: Patches that are cached, in main memory or on a disk.
      training_bytes: Read from files in an epoch for training.
      validation_bytes: Read from files in an epoch for validation.
    """

    trainable_parameters: int
    other_parameters: int
    weight_bytes: int
    gradient_bytes: int
    slot_bytes: int
    activation_bytes: int
    buffer_bytes: int
    cache_bytes: int
    training_bytes: int
    validation_bytes: int

    @property
    def fixed_bytes(self) -> int:
        """What a batch of any size takes, on each device."""
        return self.weight_bytes + self.gradient_bytes + self.slot_bytes


def size_of(run: runs.Run) -> Size:
    """Works out the size of a run; takes no step.

    Raises:
      UserError: The dataset has no such validation split.
    """
    config = run.config
    # With a loss on embeddings, `fitted` may hold weights of its own.
    trainable = run.fitted.trainable_variables
    patches = run.devices.patches_per_device(config.batch_size)
    training_bytes = _bytes_read(run.builder, config.train_split)
    num_patches = built_dataset.num_examples(run.builder, config.train_split)
    in_buffer = min(config.shuffle_buffer, num_patches)
    return Size(
        trainable_parameters=_num_elements(trainable),
        other_parameters=_num_elements(run.fitted.non_trainable_variables),
        weight_bytes=_num_bytes(run.fitted.variables),
        gradient_bytes=_num_bytes(trainable),
        slot_bytes=_slot_bytes(run.optimizer),
        activation_bytes=_bytes_per_patch(run.model) * patches,
        # What is cached is shuffled by its numbers.
        buffer_bytes=0
        if config.cache
        else training_bytes * in_buffer // num_patches,
        cache_bytes=run.cache_bytes,
        training_bytes=training_bytes,
        validation_bytes=_bytes_read(run.builder, config.validation_split),
    )


def largest_batch(
    run: runs.Run, size: Size, memory: machine_memory.Memory
) -> int:
    """The largest batch that fits by the estimate, 0 if none does.

    Args:
      run: What is to be trained.
      size: From `size_of`, for the batch of the run.
      memory: From `machine_memory.find`.
    """
    num_devices = run.devices.strategy.num_replicas_in_sync
    on_memory = num_devices if memory.is_shared else 1
    free = _SHARE * memory.num_bytes - on_memory * size.fixed_bytes
    if memory.is_shared:
        free -= size.buffer_bytes
        if run.config.cache == patch_cache.MEMORY:
            free -= size.cache_bytes
    patches = run.devices.patches_per_device(run.config.batch_size)
    of_patch = on_memory * size.activation_bytes / patches
    return max(0, int(free / of_patch)) * num_devices


def describe(run: runs.Run, size: Size, memory: machine_memory.Memory) -> str:
    """What a run takes, in lines to print.

    Args:
      run: What is to be trained.
      size: From `size_of`.
      memory: From `machine_memory.find`.
    """
    config = run.config
    parts = {
        "weights": size.weight_bytes,
        "gradients": size.gradient_bytes,
        "optimiser": size.slot_bytes,
        "activations (estimate)": size.activation_bytes,
    }
    total = size.fixed_bytes + size.activation_bytes
    rows = {
        "model": f"{config.model}, {config.modality}, {config.precision}",
        "parameters": f"{size.trainable_parameters:,} trainable, "
        f"{size.other_parameters:,} not",
        "memory": ", ".join(
            f"{name} {_megabytes(part)}" for name, part in parts.items()
        ),
        "": f"about {_megabytes(total)} on each of "
        f"{run.devices.strategy.num_replicas_in_sync} device(s), and "
        f"{_megabytes(size.buffer_bytes)} to shuffle in main memory; an "
        "estimate, without scratch memory",
        "fits": _fits(run, size, memory),
        "steps": f"{run.steps_per_epoch:,} of {config.batch_size:,} patches an "
        f"epoch, {run.total_steps:,} in all {config.epochs:,} epochs",
        **_cached(config.cache, size.cache_bytes),
        "reads": f"{_megabytes(size.training_bytes)} an epoch for training, "
        f"{_megabytes(size.validation_bytes)} for validation",
    }
    return "\n".join(f"{name:<12}{text}" for name, text in rows.items())


def _cached(place: str, num_bytes: int) -> dict[str, str]:
    """What is kept besides, and where, if anything is."""
    if not place:
        return {}
    where = "main memory" if place == patch_cache.MEMORY else place
    return {
        "caches": f"{_megabytes(num_bytes)} in {where}, read once and not in "
        "every epoch"
    }


def _fits(run: runs.Run, size: Size, memory: machine_memory.Memory) -> str:
    """A sentence that compares what is needed with what is there."""
    batch_size = run.config.batch_size
    largest = largest_batch(run, size, memory)
    there = f"the {memory.num_bytes / 1e9:,.1f} GB of {memory.name}"
    if largest >= batch_size:
        return (
            f"yes: a batch of {batch_size:,} leaves at least "
            f"{1 - _SHARE:.0%} of {there} free"
        )
    if not largest:
        return f"no: {there} are too few for a batch of any size"
    return (
        f"no: a batch of {batch_size:,} does not fit into {_SHARE:.0%} of "
        f"{there}; one of {largest:,} would"
    )


def describe_time(run: runs.Run, found: step_time.StepTime | None) -> str:
    """The estimate of the time as a line to print.

    Args:
      run: Says how many steps there are.
      found: From `step_time.measure`.
    """
    if found is None:
        return (
            f"{'time':<12}no estimate: there was no time, or there are too "
            f"few patches, for {step_time.FEWEST_STEPS} steps after the first "
            "one, which compiles"
        )
    epoch_s = found.patch_s * run.config.batch_size * run.steps_per_epoch
    scaled = (
        f", scaled to {run.config.batch_size:,}"
        if found.patches != run.config.batch_size
        else ""
    )
    return (
        f"{'time':<12}about {_duration(epoch_s)} an epoch, "
        f"{_duration(epoch_s * run.config.epochs)} in all; an estimate from "
        f"{len(found.step_s)} measured steps of {found.patches:,} patches, "
        f"{found.patch_s * found.patches:.3g} s each with reading{scaled}; "
        "validation and compilation come on top"
    )


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
