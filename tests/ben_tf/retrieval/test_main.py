import json
import subprocess
import sys

import pytest

import ben_tf
from ben_tf.retrieval import index
from tests import in_process

COMMANDS = (
    *("build", "query", "evaluate", "gallery"),
    *("projector", "serve", "export"),
)


def run(*arguments) -> in_process.Finished:
    return in_process.run("ben_tf.retrieval", *arguments)


@pytest.mark.slow
def test_help_lists_the_commands_without_loading_tensorflow():
    process = subprocess.run(
        [*(sys.executable, "-X", "importtime"), "-m", "ben_tf.retrieval", "-h"],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0
    assert "tensorflow" not in process.stderr
    for command in COMMANDS:
        assert f"python -m ben_tf.retrieval {command}" in process.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_own_help(command):
    process = run(command, "--help")
    assert "--verbose" in process.stdout.replace("[no]", "")
    assert ("--distance" in process.stdout) == (command == "build")


@pytest.mark.parametrize("arguments", [(), ("bild",), ("--index=x",)])
def test_unknown_command(arguments):
    process = run(*arguments)
    assert process.returncode == 1
    assert "Expected a command, one of build, query" in process.stderr


@pytest.mark.slow
def test_export_writes_a_model_that_answers(sample_index, tmp_path):
    process = run(
        "export", f"--index={sample_index}", f"--output_dir={tmp_path / 'x'}"
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"Wrote the serving model {tmp_path / 'x'}\n"
    assert (tmp_path / "x" / "saved_model.pb").is_file()


def test_error_is_one_sentence(tmp_path):
    process = run("query", f"--index={tmp_path}", "--patch=a")
    assert process.returncode == 1
    assert process.stderr.startswith("error: No index found in")
    assert "Traceback" not in process.stderr


def test_query_prints_the_answer_and_nothing_else(sample_index):
    name = index.Index.open(sample_index).names[0]
    query = ("query", f"--index={sample_index}", f"--patch={name}", "--k=2")
    process = run(*query)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert lines[0] == f"{name}: most similar patches (chi_square)"
    assert [line.split()[0] for line in lines[2:5]] == ["query", "1", "2"]
    assert lines[-1].startswith("Synthetic patches: ")
    process = run(*query, "--format=json")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["origin"]["synthetic"] is True


def test_query_filters_hits(sample_index):
    opened = index.Index.open(sample_index)
    patches = opened.describe(range(len(opened.names)))
    asked, other = patches[0], patches[-1]
    process = run(
        *("query", f"--index={sample_index}", f"--patch={asked.name}"),
        *(f"--labels={other.labels[0]}", f"--countries={other.country}"),
        *(f"--seasons={other.season}", f"--dates={other.date}/.."),
        *("--bbox=-180,-90,180,90", "--splits=test", "--format=json"),
    )
    assert process.returncode == 0, process.stderr
    ((answer),) = json.loads(process.stdout)["answers"]
    found = {hit["name"] for hit in answer["hits"]}
    assert found == {
        patch.name
        for patch in patches[1:]
        if other.labels[0] in patch.labels
        and (patch.country, patch.season) == (other.country, other.season)
        and patch.date >= other.date
    }
    assert other.name in found


@pytest.mark.parametrize(
    ("flag", "match"),
    [
        ("--dates=june", "Expected days such as --dates=2017"),
        ("--bbox=1,2", "Expected degrees such as --bbox=-9"),
        (
            "--countries=Atlantis",
            "Unknown value in --countries. Expected any of",
        ),
        ("--labels=Sea", "Unknown value in --labels_any. Expected any of"),
    ],
)
def test_query_refuses_conditions(sample_index, flag, match):
    name = index.Index.open(sample_index).names[0]
    process = run("query", f"--index={sample_index}", f"--patch={name}", flag)
    assert process.returncode == 1
    assert process.stderr.startswith("error: ")
    assert match in process.stderr


@pytest.mark.parametrize(
    ("flags", "is_read"),
    [
        ((), lambda text: "features" in json.loads(text)),
        (("--format=csv",), lambda text: text.startswith("query_name,")),
    ],
)
def test_query_writes_a_file(sample_index, tmp_path, flags, is_read):
    name = index.Index.open(sample_index).names[0]
    file = tmp_path / "hits.geojson"
    process = run(
        *("query", f"--index={sample_index}", f"--patch={name}", *flags),
        f"--output_file={file}",
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"Wrote the answer to {file}\n"
    assert is_read(file.read_text())


def test_query_refuses_a_place_that_cannot_be_written(sample_index, tmp_path):
    process = run(
        *("query", f"--index={sample_index}", "--patch=a"),
        f"--output_file={tmp_path}",
    )
    assert process.returncode == 1
    assert process.stderr.startswith(f"error: {tmp_path}")


def test_evaluate_writes_scores(sample_index, tmp_path):
    file = tmp_path / "scores.json"
    process = run(
        "evaluate",
        f"--archive={sample_index}",
        f"--queries={sample_index}",
        "--ks=1,5",
        f"--output_file={file}",
    )
    assert process.returncode == 0, process.stderr
    assert f"Wrote the scores to {file}" in process.stdout
    (result,) = json.loads(file.read_text())
    assert result["direction"] == "MM->MM"
    assert set(result["scores"]["ndcg"]) == {"1", "5"}
    # Which weights and which records were scored, and when with what.
    manifest = index.Index.open(sample_index).manifest
    assert result["fingerprint"] == manifest.fingerprint
    assert result["archive_records"] == manifest.records != ""
    assert result["query_records"] == manifest.records
    assert result["software"] == f"ben_tf {ben_tf.__version__}"
    assert result["date"] > manifest.origin.date[:10]
    process = run(
        "evaluate",
        f"--archive={sample_index}",
        f"--queries={sample_index}",
        "--ks=one",
    )
    assert process.returncode == 1
    assert "Expected whole numbers" in process.stderr


def test_build_finds_the_dataset_of_the_model(workdir, tmp_path):
    process = run(
        "build",
        f"--saved_model={workdir / 'saved_model'}",
        f"--output_dir={tmp_path / 'index'}",
        "--split=test[:4]",
    )
    assert process.returncode == 0, process.stderr
    assert len(index.Index.open(tmp_path / "index").names) == 4
