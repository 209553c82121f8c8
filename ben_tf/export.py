"""Exports the best checkpoint of a training run for others to serve and run.

    python -m ben_tf.export --workdir=runs/resnet50
    python -m ben_tf.export --workdir=runs/resnet50 --format=onnx
    python -m ben_tf.export --workdir=runs/resnet50 --serving=tensorflow_serving

In every format the model takes raw bands. A conversion is compared with the
SavedModel on random patches, and is not written if it answers otherwise. With
the model goes a card, which shows the scores that evaluate has found.

Training exports a SavedModel with its card at its end. Export it again for a
run that has not finished.
"""

import contextlib
import pathlib
from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import path_flags


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    workdir = path_flags.define_path(
        "workdir", None, "Folder of the training run.", required=True
    )
    model_format = flags.DEFINE_enum(
        "format",
        "saved_model",
        ["saved_model", "onnx", "tflite"],
        "saved_model for TensorFlow; onnx for ONNX Runtime and others, with "
        "the extra [export]; tflite for phones and small computers.",
    )
    serving = flags.DEFINE_enum(
        "serving",
        None,
        ["tensorflow_serving", "triton"],
        "Write the folder that a server takes, with its configuration: "
        "TensorFlow Serving (saved_model) or NVIDIA Triton (onnx or "
        "saved_model).",
    )
    output = path_flags.define_path(
        "output",
        None,
        "The folder to write. An export there is replaced at the end. By "
        "default the folder of the workdir that is named after the server or "
        "the format, such as WORKDIR/onnx.",
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf import files
        from ben_tf import workdir as workdir_lib
        from ben_tf.exchange import exports as exchange
        from ben_tf.training import exports

        run = workdir_lib.Workdir(workdir.value)
        folder = pathlib.Path(
            output.value
            or run.export_folder(serving.value or model_format.value)
        )
        run.read_config()
        target = exchange.Target(folder, model_format.value, serving.value)
        target.check()
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(files.scratch_folder())
            if not flags.FLAGS["verbose"].value:
                # Converters report what nobody can act on.
                stack.enter_context(command_line.discarded_stderr())
            export = exchange.write(
                exports.export_best(run.path, scratch / "saved_model"),
                target,
                workdir=run,
            )
        print(f"Exported the best model to {export.path}")
        if export.difference is not None:
            print(
                "Largest difference from the SavedModel on random patches: "
                f"{export.difference:.2g}"
            )

    return main


if __name__ == "__main__":
    command_line.run(command)
