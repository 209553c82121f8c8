"""Flags of one source are neither guessed nor passed over with the other."""

import pytest

from tests import in_process


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=reben"], "`source=reben` needs `weights`."),
        (
            ["--modality=MM"],
            "`source=paper` needs `checkpoint`, `model`.",
        ),
        (
            ["--source=reben", "--weights=x", "--num_classes=43"],
            "`source=reben` does not take `num_classes`.",
        ),
        (
            [
                *("--checkpoint=x", "--model=vgg16", "--modality=S2"),
                "--weights_version=0.2.0",
            ],
            "`source=paper` does not take `weights_version`.",
        ),
    ],
)
def test_flags_of_the_sources(tmp_path, arguments, message):
    finished = in_process.run(
        "ben_tf.import_checkpoint", f"--workdir={tmp_path / 'run'}", *arguments
    )
    assert finished.returncode == 1
    # The command line writes `x` of a message as --x.
    flags = finished.stderr.replace("--", "").replace("`", "")
    assert message.replace("`", "") in flags
    assert not (tmp_path / "run").exists()
