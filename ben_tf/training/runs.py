"""A training run as values: data, model, optimizer; and what becomes of it."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_datasets as tfds

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf.data import built_dataset
from ben_tf.data import input_pipeline
from ben_tf.metrics import streaming
from ben_tf.training import configured_model
from ben_tf.training import devices
from ben_tf.training import losses
from ben_tf.training import optimizers


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that `fit` needs.

    Attributes:
      model: The network, from model-ready inputs to probabilities.
      fitted: What is compiled: the network, or the network behind its
        preprocessing. Both share their weights.
      strategy: Where it is trained.
      epoch_metrics: What `fit` sums up over an epoch.
      steps_per_epoch: Batches of an epoch.
      config: What was asked for.
      builder: The dataset.
    """

    model: tf.keras.Model
    fitted: tf.keras.Model
    strategy: tf.distribute.Strategy
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
    def optimizer(self) -> tf.keras.optimizers.Optimizer:
        """The optimiser, with its slots."""
        return self.fitted.optimizer

    def training_data(
        self, first_epoch: int, first_step: int = 0
    ) -> tf.data.Dataset:
        """Batches of (inputs, labels) from a step of an epoch to the end.

        Each of several workers reads its part of every batch.
        """

        def make_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
            num_parts = context.num_input_pipelines
            batches = input_pipeline.training_batches(
                self.builder,
                self.config.train_split,
                self._content,
                self._order,
                epochs=range(first_epoch, self.config.epochs),
                first_step=first_step,
                part=(context.input_pipeline_id, num_parts),
            )
            # One of the worker's devices takes one element.
            size = self.config.batch_size // context.num_replicas_in_sync
            if size * num_parts == self.config.batch_size:
                return batches
            return batches.rebatch(size, drop_remainder=True)

        if devices.num_workers(self.strategy) == 1:
            # Keras shares batches out among the devices of one process.
            return make_part(tf.distribute.InputContext())
        return self.strategy.distribute_datasets_from_function(make_part)

    def training_patch_names(self, epoch: int, step: int) -> list[str]:
        """Which patches the batch of a step holds; both counted from 0."""
        return input_pipeline.training_patch_names(
            self.builder,
            self.config.train_split,
            self._order,
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
        return input_pipeline.validation_batches(
            self.builder,
            self.config.validation_split,
            self._content,
            batch_size=self.config.batch_size,
        ).with_options(options)

    @property
    def _content(self) -> input_pipeline.Content:
        """What a batch holds, in training as in validation."""
        return input_pipeline.Content(
            configured_model.preprocessing_of(self.config),
            num_classes=self.config.num_classes,
            on_device=self.config.preprocessing == "device",
        )

    @property
    def _order(self) -> input_pipeline.Order:
        return input_pipeline.Order(
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            shuffle_buffer=self.config.shuffle_buffer,
            augment=self.config.augment,
        )


def make_repeatable(seed: int) -> None:
    """Seeds everything; call it before anything is built.

    Dropout draws from generators whose state a checkpoint holds, so a run that
    goes on draws what it would have drawn without the interruption.
    """
    tf.keras.backend.clear_session()
    tf.keras.backend.experimental.enable_tf_random_generator()
    tf.keras.utils.set_random_seed(seed)


def make_run(
    config: config_lib.Config,
    builder: tfds.core.DatasetBuilder,
    *,
    strategy: tf.distribute.Strategy,
    positive_weights: Sequence[float] | None = None,
    initialise: Callable[[tf.keras.Model, config_lib.Config], None]
    | None = None,
) -> Run:
    """Builds and compiles the model that `config` describes.

    Args:
      config: What to train.
      builder: The dataset.
      strategy: Where to train.
      positive_weights: For the class-weighted loss, from `class_weights`.
      initialise: Gives the new model the weights to start from, such as
        `transfer.load_initial_weights`; random ones without it.

    Raises:
      UserError: The training split is smaller than a batch, or the strategy
        cannot share a batch out or compile the step.
    """
    devices.check_batches(strategy, config.batch_size)
    devices.check_compilation(strategy, config.jit_compile)
    num_patches = built_dataset.num_examples(builder, config.train_split)
    steps_per_epoch = num_patches // config.batch_size
    if not steps_per_epoch:
        raise errors.UserError(
            f"Split {config.train_split!r} has {num_patches} patches, fewer "
            f"than one batch of {config.batch_size}. Lower --batch_size or use "
            "a larger split."
        )
    tf.keras.mixed_precision.set_global_policy(config.precision)
    with strategy.scope():
        model = configured_model.make_model(config)
        # Before slots exist, which may start from the weights.
        if initialise is not None:
            initialise(model, config)
        if config.trainable == "head":
            configured_model.freeze_features(model)
        fitted = configured_model.make_fitted(model, config)
        optimizer = optimizers.make_optimizer(
            config.optimizer,
            clip_norm=config.clip_norm,
            weight_averaging=config.weight_averaging,
            learning_rate=optimizers.make_schedule(
                config.schedule,
                peak=config.learning_rate,
                warmup_steps=round(config.warmup_epochs * steps_per_epoch),
                total_steps=config.epochs * steps_per_epoch,
            ),
        )
        running_metrics = streaming.make_streaming_metrics(config.num_classes)
        fitted.compile(
            optimizer=optimizer,
            loss=losses.classification_loss(
                config.loss, positive_weights=positive_weights
            ),
            metrics=running_metrics,
            jit_compile={
                "on": True,
                "off": False,
                "auto": devices.has_gpu(),
            }[config.jit_compile],
        )
        # All devices know the same sums; Keras would add those of workers.
        fitted.distribute_reduction_method = "first"
        # Keras lists the running loss and the metrics from the first step on.
        epoch_metrics = [
            fitted.compiled_loss._total_loss_mean,
            *fitted.metrics,
            *running_metrics,
        ]
        # Slots exist before a checkpoint is restored, so none can be missed.
        optimizers.create_slots(fitted.optimizer, fitted.trainable_variables)
    return Run(
        model=model,
        fitted=fitted,
        strategy=strategy,
        epoch_metrics=epoch_metrics,
        steps_per_epoch=steps_per_epoch,
        config=config,
        builder=builder,
    )
