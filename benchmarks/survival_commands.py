"""The commands that `survival` kills: what they need, write and leave."""

import csv
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Mapping
from collections.abc import Sequence

TRAIN_FLAGS = (
    "--model=small_cnn",
    "--modality=S1",
    "--epochs=2",
    "--batch_size=4",
    "--train_split=train[:8]",
    "--validation_split=validation",
    "--checkpoint_every_steps=1",
    "--shuffle_buffer=8",
)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command that is killed and given again.

    Attributes:
      module: What `python -m` runs.
      arguments: Its arguments; {base} is the folder of what `SETUP` has made,
        {here} the one that it may write to.
      before: Folder of `base` -> its copy in `here`, made in advance.
      replaces: Outputs that are to be the old or the new ones at any moment.
    """

    module: str
    arguments: Sequence[str]
    before: Mapping[str, str] = dataclasses.field(default_factory=dict)
    replaces: Sequence[str] = ()


def _build(archive: str, output: str) -> Command:
    return Command(
        "tfrecords_builder.build",
        [f"--archive_dir={archive}", f"--data_dir={output}", "--num_workers=2"],
    )


def _train(output: str) -> Command:
    return Command(
        "ben_tf.train",
        [f"--workdir={output}", "--data_dir={base}/data", *TRAIN_FLAGS],
    )


def _evaluate(run: str, split: str) -> Command:
    return Command(
        "ben_tf.evaluate",
        [f"--workdir={run}", "--data_dir={base}/data", f"--split={split}"],
    )


def _build_index(run: str, output: str, split: str) -> Command:
    return Command(
        "ben_tf.retrieval",
        [
            "build",
            f"--saved_model={run}/saved_model",
            "--data_dir={base}/data",
            f"--output_dir={output}",
            f"--split={split}",
        ],
    )


def _export_index(index: str, output: str) -> Command:
    return Command(
        "ben_tf.retrieval",
        ["export", f"--index={index}", f"--output_dir={output}"],
    )


# In this order they make what the commands below start from.
SETUP = (
    Command(
        "tfrecords_builder.sample_archive",
        ["--output_dir={base}/archive", "--num_pairs=24"],
    ),
    _build("{base}/archive", "{base}/data"),
    _train("{base}/run"),
    _evaluate("{base}/run", "test"),
    Command(
        "ben_tf.report", ["--workdir={base}/run", "--data_dir={base}/data"]
    ),
    _build_index("{base}/run", "{base}/index", "validation"),
    _export_index("{base}/index", "{base}/serving"),
)

COMMANDS: Mapping[str, Command] = {
    "build": _build("{base}/archive", "{here}/data"),
    "build_tarballs": _build("{base}/tarballs", "{here}/data"),
    "train": _train("{here}/run"),
    "evaluate": dataclasses.replace(
        _evaluate("{here}/run", "test"),
        before={"run": "run"},
        replaces=["run/metrics/test"],
    ),
    "report": Command(
        "ben_tf.report",
        ["--workdir={here}/run", "--data_dir={base}/data"],
        before={"run": "run"},
        replaces=["run/report.html"],
    ),
    "predict": Command(
        "ben_tf.predict",
        [
            "--saved_model={base}/run/saved_model",
            "--input={base}/tarballs",
            "--output={here}/labels.csv",
        ],
    ),
    "export": Command(
        "ben_tf.export",
        ["--workdir={here}/run"],
        before={"run": "run"},
        replaces=["run/saved_model"],
    ),
    "retrieval_build": dataclasses.replace(
        _build_index("{base}/run", "{here}/index", "test"),
        before={"index": "index"},
        replaces=["index"],
    ),
    "retrieval_export": dataclasses.replace(
        _export_index("{base}/index", "{here}/serving"),
        before={"serving": "serving"},
        replaces=["serving"],
    ),
}


# What a command reads is damaged: the one folder that it finds in `here`.
READINGS: Mapping[str, Command] = {
    "run, trained on": dataclasses.replace(
        COMMANDS["train"],
        arguments=[*COMMANDS["train"].arguments, "--epochs=3"],
        before={"run": "run"},
    ),
    "run, evaluated": COMMANDS["evaluate"],
    "run, reported": COMMANDS["report"],
    "run, exported": COMMANDS["export"],
    "run, predicting": Command(
        "ben_tf.predict",
        [
            "--saved_model={here}/run/saved_model",
            "--input={base}/tarballs",
            "--output={here}/labels.csv",
        ],
        before={"run": "run"},
    ),
    "data, trained on": Command(
        "ben_tf.train",
        ["--workdir={here}/new", "--data_dir={here}/data", *TRAIN_FLAGS],
        before={"data": "data"},
    ),
    "data, embedded": Command(
        "ben_tf.retrieval",
        [
            "build",
            "--saved_model={base}/run/saved_model",
            "--data_dir={here}/data",
            "--output_dir={here}/new",
            "--split=train,validation,test",
        ],
        before={"data": "data"},
    ),
    "index, exported": Command(
        "ben_tf.retrieval",
        [
            "export",
            "--index={here}/index",
            "--saved_model={base}/run/saved_model",
            "--output_dir={here}/new",
        ],
        before={"index": "index"},
    ),
    "index, asked": Command(
        "ben_tf.retrieval",
        [
            "gallery",
            "--index={here}/index",
            "--data_dir={base}/data",
            "--output_file={here}/new.html",
            "--num_queries=2",
        ],
        before={"index": "index"},
    ),
}


# --- What is left behind ---------------------------------------------------

# TensorBoard's event files carry times, and one more comes with each resume.
_IGNORED = re.compile(
    # The fingerprint of a SavedModel is that of its graph.
    r".*/logs/.*|.*/checkpoint|.*/fingerprint\.pb"
)
_CHECKPOINT = re.compile(r"(.*/checkpoints/\w+)/(.+)")
_INDEX_DATA = re.compile(r"data-[0-9a-f]{16}")
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


def describe(folder: pathlib.Path) -> dict[str, str]:
    """Path -> digest of what counts in it, for every file below a folder.

    Left out of it is what differs from run to run: times, the numbers of
    checkpoints, the names of an index's data and of the folder itself.
    """
    result = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or _IGNORED.fullmatch(name):
            continue
        if not path.is_file():
            result[name] = "no file"
            continue
        if match := _CHECKPOINT.fullmatch(name):
            listed = _checkpoints(folder / match[1])
            if any(match[2].startswith(f"{x}.") for x in listed):
                continue
        elif path.name == "history.csv":
            result[name] = _digest(_without_times(path))
            continue
        elif match := _INDEX_DATA.search(name):
            # The manifest says which data are the index's.
            manifest = path.parents[1] / "manifest.json"
            if manifest.is_file() and match[0] in manifest.read_text():
                name = name.replace(match[0], "data")
        elif path.name == "saved_model.pb":
            result[name] = _digest(_described_model(path))
            continue
        content = path.read_bytes().replace(bytes(folder), b"HERE")
        if path.name == "manifest.json":
            content = re.sub(_INDEX_DATA.pattern.encode(), b"data", content)
        if path.suffix == ".csv":
            # When the labels were predicted.
            content = _TIME.sub(b"", content)
        if path.suffix == ".json":
            # Of names that are left out, too.
            content = re.sub(rb'"(crc32|date)": "[^"]*"', b"", content)
        result[name] = _digest(content)
    for path in folder.rglob("checkpoint"):
        name = path.parent.relative_to(folder).as_posix()
        result[f"{name}/newest"] = _newest_weights(path.parent)
    return result


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _without_times(path: pathlib.Path) -> bytes:
    with path.open(newline="", errors="replace") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name in ("seconds", "crc32"):
            row.pop(name, None)
    return repr(rows).encode()


def _described_model(path: pathlib.Path) -> bytes:
    """What an exported graph says of itself, the digest of its weights in it.

    TensorFlow numbers the functions of a graph as it traces them, which a
    resumed training does in another order.
    """
    from ben_tf import errors
    from ben_tf import saved_model_check

    try:
        return saved_model_check.read_description(path.parent).encode()
    except errors.UserError:
        return path.read_bytes()


def _checkpoints(folder: pathlib.Path) -> list[str]:
    """Names of the checkpoints that the list of a folder has."""
    try:
        text = (folder / "checkpoint").read_text(errors="replace")
    except OSError:
        return []
    paths = re.findall(r'^all_model_checkpoint_paths: "(.+)"$', text, re.M)
    return [pathlib.PurePath(path).name for path in paths]


def _newest_weights(folder: pathlib.Path) -> str:
    """Digest of all arrays of the last checkpoint in the list of a folder."""
    # Does not compute: survives a fork.
    from tensorflow.python.training import py_checkpoint_reader

    listed = _checkpoints(folder)
    if not listed:
        return "no list"
    try:
        reader = py_checkpoint_reader.NewCheckpointReader(
            str(folder / listed[-1])
        )
        digest = hashlib.sha256()
        for key in sorted(reader.get_variable_to_shape_map()):
            # The objects' graph names the slots in any order.
            if key != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in (
                key
            ):
                digest.update(key.encode())
                digest.update(reader.get_tensor(key).tobytes())
    except Exception as error:  # TensorFlow raises many unrelated types here.
        return f"unreadable: {type(error).__name__}"
    return digest.hexdigest()
