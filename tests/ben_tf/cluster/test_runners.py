"""Runners and options of Beam that cannot be used are refused in a sentence."""

import pathlib
import sys

import pytest

from ben_tf import errors
from ben_tf.cluster import dask_cluster
from ben_tf.cluster import runners
from tests.ben_tf.cluster import dask_processes

UNREACHABLE = "dask_client_address=127.0.0.1:1,dask_connection_timeout=1"


@pytest.mark.parametrize(
    ("runner", "options", "expected"),
    [
        ("DaskRunner", "wings=2", "DaskRunner knows no option 'wings=2'"),
        # Those of other runners as well.
        ("DirectRunner", "wings=2", "DirectRunner knows no option 'wings=2'"),
        (None, "wings", "DirectRunner knows no option 'wings'"),
        ("DaskRunner", "dask_npartitions=x", "dask_npartitions: invalid int"),
        ("DirectRunner", "direct_num_workers=x", "direct_num_workers: invalid"),
        ("NoRunner", None, "Unknown runner.*`beam_runner=NoRunner`"),
        ("ben_tf.NoRunner", None, "Unknown runner"),
        ("no_module.Runner", None, "not installed: No module named 'no_mod"),
        (
            "DaskRunner",
            UNREACHABLE,
            "There is no Dask scheduler at 127.0.0.1:1",
        ),
        (
            "DaskRunner",
            "dask_client_address=ftp://x,dask_connection_timeout=1",
            "There is no Dask scheduler at ftp",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(runner, options, expected, capfd):
    with pytest.raises(errors.UserError, match=expected) as caught:
        runners.choose(runner, options)
    assert "\n" not in str(caught.value)
    assert "usage" not in capfd.readouterr().err


def test_nothing_named_is_no_cluster():
    assert runners.choose(None, None) is None
    assert runners.choose("", "") is None


def test_options_may_name_the_runner(dask):
    cluster = runners.choose(None, "runner=DirectRunner")
    assert not cluster.is_dask
    cluster = runners.choose(None, f"runner=DaskRunner,{dask.options}")
    assert cluster.is_dask


def test_flink_knows_its_options_itself():
    cluster = runners.choose("FlinkRunner", "flink_master=x:1,wings=2")
    assert cluster.name == "FlinkRunner"


@pytest.mark.parametrize(
    ("module", "runner", "expected"),
    [
        ("apache_beam", "DirectRunner", r"pip install '\.\[beam\]'"),
        ("distributed", "DaskRunner", r"Install '\.\[beam\]' for Dask"),
    ],
)
def test_without_beam_or_dask_the_error_says_how_to_install(
    module, runner, expected, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.UserError, match=expected):
        runners.choose(runner, None)


def test_a_scheduler_without_workers(tmp_path):
    with (
        dask_processes.started(tmp_path / "dask", num_workers=0) as dask,
        pytest.raises(
            errors.UserError, match=r"has no workers\. Start workers"
        ),
    ):
        runners.choose("DaskRunner", dask.options)


# What a worker runs first -> what is said of it.
PRELOADED = {
    "import ben_tf; ben_tf.__version__ = '0.0.1'": "has ben_tf 0.0.1. Expected",
    # Dask runs it twice.
    "import importlib.metadata as m; m.old = getattr(m, 'old', m.version)\n"
    "m.version = lambda x: '1.2.3' if x == 'apache-beam' else m.old(x)": (
        "has apache-beam 1.2.3. Expected"
    ),
    "import sys; sys.modules['ben_tf.cluster.dask_cluster'] = None": (
        "cannot run this package: "
    ),
    "import os.path as p; p.old = getattr(p, 'old', p.isdir)\n"
    "p.isdir = lambda path: 'unseen' not in str(path) and p.old(path)": (
        "does not see .*unseen. Expected a folder on a disk that all workers"
    ),
}


@pytest.fixture(scope="module")
def idle_dask(tmp_path_factory):
    """A scheduler to which each test adds a worker."""
    folder = tmp_path_factory.mktemp("dask") / "x"
    with dask_processes.started(folder, num_workers=0) as found:
        yield found


@pytest.mark.parametrize("script", PRELOADED)
def test_workers_unlike_this_process(script, idle_dask, tmp_path):
    preload = tmp_path / "preload.py"
    preload.write_text(script)
    unseen = tmp_path / "unseen"
    unseen.mkdir()
    idle_dask.add_workers(1, f"--preload={preload}")
    try:
        with pytest.raises(errors.UserError, match=PRELOADED[script]) as caught:
            check(idle_dask, unseen)
    finally:
        idle_dask.remove_workers()
    assert "The Dask worker tcp://127.0.0.1:" in str(caught.value)


def check(dask, folder: pathlib.Path) -> None:
    cluster = runners.choose("DaskRunner", dask.options)
    dask_cluster.check(cluster.options, str(folder))
