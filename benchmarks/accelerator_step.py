r"""Times the training step on an accelerator: benchmarks/accelerator_step.py.

Takes the XLA program of the very step that `ben_tf.train --jit_compile=on` runs
(forward, loss, gradients, optimiser, metrics) and executes it through JAX's
runtime, so that a GPU is timed without a CUDA build of TensorFlow:

    python benchmarks/accelerator_step.py --model=resnet50 --batch_size=500 \
        --precision=mixed_bfloat16

needs TensorFlow and JAX side by side (pip install jax, or jax[cuda12]; only
this script uses it). Where they do not fit together, write the program in one
environment and run it in another, which needs neither TensorFlow nor ben_tf:

    python benchmarks/accelerator_step.py --write=step.hlo
    python benchmarks/accelerator_step.py --program=step.hlo

The last line on an accelerator, the median of --rounds steps after two:

  images_per_second    pairs in a batch over the seconds of a step

On a CPU the step runs, which shows that the program is complete; the figure is
left out.
"""

import pathlib
import re
import statistics
import tempfile
import time

from absl import app
from absl import flags

_MODEL = flags.DEFINE_string("model", "resnet50", "As for ben_tf.train.")
_MODALITY = flags.DEFINE_string("modality", "MM", "As for ben_tf.train.")
_FUSION = flags.DEFINE_string("fusion", "early", "As for ben_tf.train.")
_PRECISION = flags.DEFINE_string("precision", "float32", "As for ben_tf.train.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 500, "Pairs in a step.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer("rounds", 10, "Steps to time.", lower_bound=1)
_WRITE = flags.DEFINE_string(
    "write", None, "Only writes the program to this file."
)
_PROGRAM = flags.DEFINE_string(
    "program", None, "Only runs the program of this file."
)
# What the file holds beside the program: pairs in a batch, as 8 bytes.
_HEADER_BYTES = 8


def training_step_program() -> bytes:
    """The serialized HLO module of one training step."""
    import tensorflow as tf

    from ben_tf import config as config_lib
    from ben_tf.data import built_dataset
    from ben_tf.training import devices
    from ben_tf.training import runs
    from tfrecords_builder import dataset
    from tfrecords_builder import sample_writer

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        sample_writer.write_sample_archive(folder / "archive", num_pairs=48)
        dataset.build(archive_dir=folder / "archive", data_dir=folder / "data")
        config = config_lib.Config(
            data_dir=str(folder / "data"),
            model=_MODEL.value,
            modality=_MODALITY.value,
            fusion=_FUSION.value,
            precision=_PRECISION.value,
            preprocessing="device",
            train_split="train[:4]",
            batch_size=4,
            epochs=1,
        )
        run = runs.make_run(
            config,
            built_dataset.open_dataset(config.data_dir),
            devices.Devices(tf.distribute.get_strategy()),
        )
        inputs, labels = next(iter(run.training_data(0)))
    rows = tf.range(_BATCH_SIZE.value) % config.batch_size

    def enlarge(tensor: tf.Tensor) -> tf.Tensor:
        return tf.gather(tensor, rows)

    @tf.function(jit_compile=True)
    def step(
        inputs: dict[str, tf.Tensor], labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return run.fitted.train_step((inputs, labels))

    program = step.experimental_get_compiler_ir(
        {name: enlarge(tensor) for name, tensor in inputs.items()},
        enlarge(labels),
    )(stage="hlo_serialized")
    return _BATCH_SIZE.value.to_bytes(_HEADER_BYTES, "big") + program


def seconds_per_step(program: bytes, *, rounds: int) -> tuple[str, list[float]]:
    """Compiles and runs a program on JAX's first device.

    Returns:
      The device's name, and the seconds of each step.
    """
    import jax
    import numpy as np
    from jax.extend.backend import get_backend
    from jaxlib import xla_client

    # The optimiser counts steps in 64 bits.
    jax.config.update("jax_enable_x64", True)
    computation = xla_client.XlaComputation(program)
    device = jax.devices()[0]
    executable = get_backend().compile(
        xla_client._xla.mlir.xla_computation_to_mlir_module(computation)
    )
    random = np.random.default_rng(0)
    arguments = []
    for shape in computation.program_shape().parameter_shapes():
        # Small and positive, as weights, variances and reflectances may be.
        values = random.random(shape.dimensions(), np.float32) * 0.01
        arguments.append(
            jax.device_put(values.astype(shape.numpy_dtype()), device)
        )
    # Results that take the place of an argument: weights, slots and such.
    replaced = [
        (int(output), int(parameter))
        for output, parameter in re.findall(
            r"\{(\d+)\}: \((\d+), \{\}", computation.as_hlo_text()
        )
    ]
    seconds = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        results = jax.block_until_ready(executable.execute(arguments))
        seconds.append(time.perf_counter() - start)
        for output, parameter in replaced:
            arguments[parameter] = results[output]
    return f"{device.platform} ({device.device_kind})", seconds[2:]


def main(_: list[str]) -> None:
    """Writes or reads the program, and runs it."""
    if _PROGRAM.value:
        content = pathlib.Path(_PROGRAM.value).read_bytes()
    else:
        content = training_step_program()
    if _WRITE.value:
        pathlib.Path(_WRITE.value).write_bytes(content)
        print(f"The program of the step is {_WRITE.value}")
        return
    batch_size = int.from_bytes(content[:_HEADER_BYTES], "big")
    device, seconds = seconds_per_step(
        content[_HEADER_BYTES:], rounds=_ROUNDS.value
    )
    median = statistics.median(seconds)
    print(
        f"{device}: a step of {batch_size} pairs takes {median:.3f} s "
        f"({min(seconds):.3f} to {max(seconds):.3f})"
    )
    if device.startswith("cpu"):
        print("No accelerator: the program runs, images_per_second is left out")
    else:
        print(f"images_per_second: {batch_size / median:.0f}")


if __name__ == "__main__":
    app.run(main)
