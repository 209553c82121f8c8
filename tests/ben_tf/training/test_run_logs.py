"""Records of runs hold what history.csv holds, in one run.

Weights & Biases is the real package, which writes to a file where there is no
network. MLflow is a double that has the signatures of the package; the test
takes the package itself where it is installed.
"""

import importlib.util
import json
import pathlib
import struct
import sys
import types

import pytest
import tensorflow as tf

from ben_tf import config as config_lib
from ben_tf import errors
from ben_tf import workdir as workdir_lib
from ben_tf.training import record_packages
from ben_tf.training import run_logs
from tests import in_process
from tests import json_files

CONFIG = config_lib.Config(epochs=7)
ROWS = [
    {"epoch": "1", "seconds": "2.50", "loss": "0.5", "val_loss": "0.75"},
    {"epoch": "2", "seconds": "2.25", "loss": "0.25", "val_loss": "nan"},
]


@pytest.fixture
def workdir(tmp_path) -> workdir_lib.Workdir:
    return workdir_lib.Workdir(tmp_path / "run")


def train(name: str, workdir, epochs) -> None:
    """Calls the callback as `fit` does, for epochs from 0."""
    log = run_logs.RunLog(name, CONFIG, workdir.path)
    log.on_train_begin()
    for epoch in epochs:
        workdir.write_history(ROWS[: epoch + 1])
        log.on_epoch_end(epoch, {"loss": -1.0})
    log.on_train_end()


@pytest.fixture
def wandb(monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield wandb
    wandb.teardown()


def _records(file: pathlib.Path):
    """Records of a file in LevelDB's log format, which W&B writes.

    Blocks of 32 KiB; parts of records behind a checksum, a length and a type:
    whole, first, middle or last. The file begins with 7 bytes of W&B's own.
    """
    data, place, record = file.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
        _, length, kind = struct.unpack_from("<IHB", data, place)
        if not kind:
            return
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def _read_wandb(file: pathlib.Path):
    """What a file of the package holds: (configuration, history)."""
    from wandb.proto import wandb_internal_pb2

    config, history = {}, {}
    for data in _records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in [*record.run.config.update, *record.config.update]:
            if item.key:
                config[item.key] = json.loads(item.value_json)
        if record.HasField("history"):
            history[record.history.step.num] = {
                (item.key or item.nested_key[0]): json.loads(item.value_json)
                for item in record.history.item
            }
    return config, history


@pytest.mark.slow
def test_wandb_has_the_same_names_and_epochs(wandb, workdir):
    workdir.path.mkdir()
    train("wandb", workdir, [0])
    run_id = json_files.read(workdir.run_log_file("wandb"))["id"]
    # Resumed within an epoch, and after it.
    train("wandb", workdir, [1])
    assert json_files.read(workdir.run_log_file("wandb"))["id"] == run_id
    wandb.teardown()  # Its process writes what it still holds.
    files = sorted(workdir.path.glob("wandb/offline-run-*/*.wandb"))
    # Without a network there is a file for each start, of the one run.
    assert {file.name for file in files} == {f"run-{run_id}.wandb"}
    first, second = map(_read_wandb, files)
    assert first[0]["epochs"] == 7
    assert first[0]["statistics"] == "paper"
    found = {**first[1], **second[1]}
    for row in ROWS:
        values = found[int(row["epoch"])]
        for name in row.keys() - {"epoch"}:
            assert float(values[name]) == pytest.approx(
                float(row[name]), nan_ok=True
            )
        assert "epoch" not in values


@pytest.mark.slow
def test_wandb_without_a_key_is_a_sentence(wandb, workdir, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(workdir.path))
    monkeypatch.setenv("NETRC", str(workdir.path / "netrc"))
    workdir.path.mkdir()
    with pytest.raises(
        errors.UserError, match=r"wandb cannot begin .*Correct its settings"
    ):
        train("wandb", workdir, [])


class MlflowDouble(types.ModuleType):
    """Keeps what it is told, as the functions of mlflow are called."""

    def __init__(self):
        super().__init__("mlflow")

        class MlflowException(Exception):
            pass

        self.exceptions = types.SimpleNamespace(MlflowException=MlflowException)
        self.runs = {}
        self.active = None
        self.is_away = False

    def start_run(self, run_id=None, experiment_id=None, run_name=None):
        if run_id is not None and run_id not in self.runs:
            raise self.exceptions.MlflowException(f"Run '{run_id}' not found\n")
        run_id = run_id or f"id{len(self.runs)}"
        self.active = self.runs.setdefault(
            run_id, {"name": run_name, "params": {}, "metrics": {}}
        )
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_id))

    def log_params(self, params, synchronous=None):
        self.active["params"] |= params

    def log_metrics(self, metrics, step=None):
        if self.is_away:
            raise self.exceptions.MlflowException("No route to host\nat x.py")
        self.active["metrics"][step] = metrics

    def end_run(self, status="FINISHED"):
        self.active = None


@pytest.fixture
def mlflow(monkeypatch):
    double = MlflowDouble()
    monkeypatch.setitem(sys.modules, "mlflow", double)
    double.__spec__ = importlib.util.spec_from_loader("mlflow", loader=None)
    return double


def test_mlflow_has_the_same_names_and_epochs(mlflow, workdir):
    train("mlflow", workdir, [0])
    train("mlflow", workdir, [1])
    ((run_id, run),) = mlflow.runs.items()
    assert json_files.read(workdir.run_log_file("mlflow"))["id"] == run_id
    assert run["name"] == "run"
    assert run["params"]["epochs"] == 7
    assert list(run["metrics"]) == [1, 2]
    assert run["metrics"][1] == {"seconds": 2.5, "loss": 0.5, "val_loss": 0.75}
    assert mlflow.active is None


def test_the_real_mlflow(workdir, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(workdir.path.parent)
    mlflow.set_tracking_uri((workdir.path.parent / "runs").as_uri())
    train("mlflow", workdir, [0])
    train("mlflow", workdir, [1])
    run_id = json_files.read(workdir.run_log_file("mlflow"))["id"]
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["epochs"] == "7"
    points = client.get_metric_history(run_id, "loss")
    assert [(x.step, x.value) for x in points] == [(1, 0.5), (2, 0.25)]


def test_a_server_that_is_away_does_not_end_the_training(
    mlflow, workdir, capsys
):
    log = run_logs.RunLog("mlflow", CONFIG, workdir.path)
    log.on_train_begin()
    workdir.write_history(ROWS[:1])
    mlflow.is_away = True
    log.on_epoch_end(0, {})
    assert capsys.readouterr().err == (
        "mlflow did not take epoch 1: No route to host. Training goes on.\n"
    )


def test_a_run_that_is_gone_is_a_sentence(mlflow, workdir):
    train("mlflow", workdir, [0])
    mlflow.runs.clear()
    with pytest.raises(
        errors.UserError, match=r"mlflow cannot begin .*: Run 'id0' not found"
    ):
        train("mlflow", workdir, [1])


def test_a_damaged_name_of_the_run(mlflow, workdir):
    workdir.path.mkdir()
    workdir.run_log_file("mlflow").write_text('{"id": 3}')
    with pytest.raises(errors.UserError, match="Remove it to begin a new"):
        train("mlflow", workdir, [])


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.UserError, match="pip install mlflow, or leave"):
        record_packages.check_installed("mlflow")


def test_the_command_refuses_others():
    finished = in_process.run("ben_tf.train", "--workdir=x", "--log=wandb,tb")
    assert finished.returncode == 1
    assert finished.stderr == (
        "error: Invalid --log. Expected wandb, mlflow, or both with a comma "
        "between.\n"
    )


@pytest.mark.slow
def test_training_records_its_epoch(mlflow, tiny_config, tmp_path):
    finished = in_process.run(
        "ben_tf.train",
        f"--data_dir={tiny_config.data_dir}",
        f"--workdir={tmp_path / 'run'}",
        "--model=small_cnn",
        "--modality=S1",
        "--batch_size=8",
        "--epochs=1",
        "--train_split=train[:8]",
        "--log=mlflow",
    )
    assert finished.returncode == 0, finished.stderr
    ((run),) = mlflow.runs.values()
    (row,) = workdir_lib.Workdir(tmp_path / "run").read_history()
    assert run["metrics"] == {
        1: {name: float(row[name]) for name in row.keys() - {"epoch"}}
    }
    assert run["params"]["model"] == "small_cnn"
    assert tf.io.gfile.exists(str(tmp_path / "run" / "saved_model"))
