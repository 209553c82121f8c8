"""Adam whose step is one operation per variable."""

import tensorflow as tf

from ben_tf.training import keras_internals


class FusedAdam(tf.keras.optimizers.Adam):
    """Keras' Adam, stepping in TensorFlow's own kernel.

    Keras writes the step as a dozen operations, each of which walks through
    memory as large as the weights. XLA fuses them on a GPU; on a CPU they take
    a good tenth of a step of K-Branch CNN with 8 patches. It is the kernel of
    TensorFlow 1's AdamOptimizer, with which the authors trained. Arguments
    (epsilon is 1e-7, not 1e-8 as there), slots and checkpoints are those of
    Keras, with `weight_decay` those of its AdamW; a step differs from theirs in
    the fifth digit, since the kernel takes 1 - 0.999 in float32.
    """

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Takes a step, as Keras asks for each variable.

        Args:
          gradient: Of the loss, shape and dtype of the variable.
          variable: What to step; `build` knows it.

        Raises:
          NotImplementedError: `amsgrad`, for which this kernel has no slot.
        """
        if self.amsgrad:
            raise NotImplementedError("FusedAdam does not know amsgrad.")
        momentum, velocity = keras_internals.adam_moments(self, variable)
        dtype = variable.dtype
        beta_1 = tf.cast(self.beta_1, dtype)
        beta_2 = tf.cast(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.convert_to_tensor(gradient),
        )
