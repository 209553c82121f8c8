"""A training run as a value: its data, model, optimiser and devices."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import finite
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.data import patch_cache
from ben_tf.data import preprocessing as preprocessing_lib
from ben_tf.data import records
from ben_tf.metrics import streaming
from ben_tf.training import configured_model
from ben_tf.training import devices as devices_lib
from ben_tf.training import initial_weights
from ben_tf.training import keras_internals
from ben_tf.training import losses
from ben_tf.training import optimizers


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that `fit` needs.

    Attributes:
      model: The network, from model-ready inputs to probabilities.
      fitted: What is compiled: the network, or the network behind its
        preprocessing. Both share their weights.
      devices: Where it is trained.
      epoch_metrics: Running metrics of an epoch, its loss included.
      steps_per_epoch: Batches of an epoch.
      config: What was asked for.
      builder: The dataset.
    """

    model: tf.keras.Model
    fitted: tf.keras.Model
    devices: devices_lib.Devices
    epoch_metrics: list[tf.keras.metrics.Metric]
    steps_per_epoch: int
    config: config_lib.Config
    builder: tfds.core.DatasetBuilder

    @property
    def summary(self) -> str:
        """What is trained, in one line."""
        num_parameters = sum(
            variable.shape.num_elements()
            for variable in self.model.trainable_variables
        )
        return (
            f"{self.config.model}, {self.config.modality}, {num_parameters:,} "
            f"trainable parameters, {self.steps_per_epoch} steps of "
            f"{self.config.batch_size} patches an epoch"
        )

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.steps_per_epoch

    @property
    def optimizer(self) -> tf.keras.optimizers.Optimizer:
        """The optimiser, with its slots."""
        return self.fitted.optimizer

    def training_data(
        self, first_epoch: int, first_step: int = 0
    ) -> tf.data.Dataset:
        """Batches of (inputs, labels) from a step of an epoch to the end."""
        make_part = functools.partial(
            input_pipeline.training_batches,
            self.builder,
            self.config.train_split,
            self._batches,
            epochs=range(first_epoch, self.config.epochs),
            first_step=first_step,
            cache=self._training_cache,
        )
        return self.devices.distribute(make_part, self.config.batch_size)

    def training_patch_names(self, epoch: int, step: int) -> list[str]:
        """Names of the patches of a batch; epoch and step from 0."""
        return input_pipeline.training_patch_names(
            self.builder,
            self.config.train_split,
            self._batches,
            epoch=epoch,
            step=step,
        )

    def validation_data(self) -> tf.data.Dataset:
        """Batches of (inputs, labels) of the validation split.

        Keras shares every batch out, the last and smaller one, too.
        """
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        split = self.config.validation_split
        size = validation_batch_size(
            built_dataset.num_examples(self.builder, split),
            self.config.batch_size,
            num_devices=self.devices.strategy.num_replicas_in_sync,
        )
        return input_pipeline.validation_batches(
            self.builder,
            split,
            dataclasses.replace(self._batches, batch_size=size),
            cache=self._validation_cache,
        ).with_options(options)

    def first_validation_patches(self, num: int) -> dict[str, Any]:
        """The first patches of the validation split, raw.

        Args:
          num: How many; fewer if the split has fewer.

        Returns:
          A batch of `input_pipeline.native_batches` with "patch_name".

        Raises:
          UserError: The records are damaged.
        """
        batches = input_pipeline.native_batches(
            self.builder,
            self.config.validation_split,
            grids=self.preprocessing.raw_grids,
            num_classes=self.config.num_classes,
            batch_size=num,
            metadata=("patch_name",),
        )
        with records.explained_errors(self.builder):
            return next(iter(batches))

    @property
    def cache_bytes(self) -> int:
        """What `config.cache` takes for both splits; 0 without one."""
        if not self.config.cache:
            return 0
        return sum(
            patch_cache.num_bytes(
                self.builder,
                split,
                grids=self.preprocessing.raw_grids,
                num_classes=self.config.num_classes,
            )
            for split in (self.config.train_split, self.config.validation_split)
        )

    # `fit` may ask for batches twice.
    @functools.cached_property
    def _training_cache(self) -> patch_cache.Cache | None:
        return self._open_cache(self.config.train_split)

    @functools.cached_property
    def _validation_cache(self) -> patch_cache.Cache | None:
        return self._open_cache(self.config.validation_split)

    def _open_cache(self, split: str) -> patch_cache.Cache | None:
        """The patches of a split, if they are to be cached."""
        if not self.config.cache:
            return None
        return patch_cache.open_cache(
            self.config.cache,
            self.builder,
            split,
            grids=self.preprocessing.raw_grids,
            num_classes=self.config.num_classes,
        )

    @property
    def preprocessing(self) -> preprocessing_lib.Preprocessing:
        """What makes raw patches ready for `model`."""
        return configured_model.preprocessing_of(self.config)

    @property
    def _batches(self) -> input_pipeline.BatchSpec:
        """What a batch holds, in training as in validation."""
        config = self.config
        return input_pipeline.BatchSpec(
            self.preprocessing,
            batch_size=config.batch_size,
            num_classes=config.num_classes,
            on_device=config.preprocessing == "device",
            seed=config.seed,
            shuffle_buffer=config.shuffle_buffer,
            augment=config.augment,
        )


def make_run(
    config: config_lib.Config,
    builder: tfds.core.DatasetBuilder,
    devices: devices_lib.Devices,
    *,
    positive_weights: Sequence[float] | None = None,
    load_weights: bool = False,
) -> Run:
    """Builds and compiles the model that `config` describes.

    Seeds all random generators of this process and clears Keras' state.

    Args:
      config: What to train.
      builder: The dataset.
      devices: Where to train.
      positive_weights: For the class-weighted loss, from `class_weights`.
      load_weights: Whether to load the weights that a new run starts from,
        such as ImageNet's; otherwise all are random.

    Raises:
      UserError: The training split is smaller than a batch, there is no such
        validation split, the devices cannot share a batch out or compile the
        step, or there are no such weights.
    """
    devices.patches_per_device(config.batch_size)
    jit_compile = devices.jit_compile(config.jit_compile)
    steps_per_epoch = _steps_per_epoch(config, builder)
    # It is read after an epoch, which may take hours.
    built_dataset.num_examples(builder, config.validation_split)
    _make_repeatable(config.seed)
    tf.keras.mixed_precision.set_global_policy(config.precision)
    with devices.strategy.scope():
        model = configured_model.make_model(config)
        # Before slots exist, which may start from the weights.
        if load_weights:
            initial_weights.load_initial_weights(model, config)
            finite.check(model.variables, "The initial weights")
        if config.trainable == "head":
            configured_model.freeze_features(model)
        fitted = configured_model.make_fitted(model, config)
        metrics = streaming.make_streaming_metrics(config.num_classes)
        fitted.compile(
            optimizer=optimizers.of_run(config, steps_per_epoch),
            loss=losses.classification_loss(
                config.loss, positive_weights=positive_weights
            ),
            metrics=metrics,
            jit_compile=jit_compile,
        )
        # All devices know the same sums; Keras would add those of workers.
        keras_internals.take_metrics_of_first_replica(fitted)
        # Slots exist before a checkpoint is restored, so none can be missed.
        keras_internals.create_slots(
            fitted.optimizer, fitted.trainable_variables
        )
    return Run(
        model=model,
        fitted=fitted,
        devices=devices,
        # Keras lists the running loss and the metrics from the first step on.
        epoch_metrics=[
            keras_internals.running_loss(fitted),
            *fitted.metrics,
            *metrics,
        ],
        steps_per_epoch=steps_per_epoch,
        config=config,
        builder=builder,
    )


def validation_batch_size(
    num_patches: int, batch_size: int, *, num_devices: int
) -> int:
    """The largest batch of which every device gets a patch, the last one too.

    TensorFlow's convolutions on CPUs fail on a part without patches.

    Args:
      num_patches: Those of the split.
      batch_size: Patches of a batch at most; returned if none will do.
      num_devices: How many share a batch.
    """

    def suffices(size: int) -> bool:
        # Parts are of one size; the last devices get what is left over.
        part = math.ceil(size / num_devices)
        return part * (num_devices - 1) < size

    for size in range(batch_size, 0, -1):
        if suffices(size) and suffices(num_patches % size or size):
            return size
    return batch_size


def _steps_per_epoch(
    config: config_lib.Config, builder: tfds.core.DatasetBuilder
) -> int:
    """Whole batches of the training split; at least one."""
    num_patches = built_dataset.num_examples(builder, config.train_split)
    if num_patches < config.batch_size:
        raise errors.UserError(
            f"Split {config.train_split!r} has {num_patches} patches, fewer "
            f"than one batch of {config.batch_size}. Lower `batch_size` or use "
            "a larger split."
        )
    return num_patches // config.batch_size


def _make_repeatable(seed: int) -> None:
    """Seeds everything, before anything is built.

    Dropout draws from generators whose state a checkpoint holds, so a resumed
    run draws what it would have drawn without the interruption.
    """
    tf.keras.backend.clear_session()
    tf.keras.backend.experimental.enable_tf_random_generator()
    tf.keras.utils.set_random_seed(seed)
