"""Tasks on Beam's DirectRunner and on a real Dask cluster."""

import os

import pytest

from ben_tf import errors
from ben_tf.cluster import runners
from ben_tf.cluster import tasks
from tests.ben_tf.cluster import cluster_jobs
from tests.ben_tf.cluster import dask_processes

Task = cluster_jobs.Task


@pytest.fixture(params=["DirectRunner", "DaskRunner"])
def cluster(request) -> runners.Cluster:
    options = "direct_num_workers=1"
    if request.param == "DaskRunner":
        options = request.getfixturevalue("dask").options
    return runners.choose(request.param, options)


def plain(number: int) -> list[Task]:
    return [Task("double", i) for i in range(number)]


def run(todo, cluster, folder, **options) -> list[cluster_jobs.Result]:
    (folder / "calls").mkdir(parents=True, exist_ok=True)
    return list(
        tasks.run(
            cluster_jobs.JOB,
            todo,
            str(folder / "calls"),
            folder=folder / "tasks",
            cluster=cluster,
            **options,
        )
    )


def calls(folder) -> dict[int, int]:
    """Number of a task -> how often it was run."""
    return {
        int(path.name.removeprefix("calls_")): path.stat().st_size
        for path in (folder / "calls").glob("calls_*")
    }


def test_results_come_in_the_order_of_the_tasks(cluster, tmp_path):
    found = run(plain(9), cluster, tmp_path)
    assert [each.doubled for each in found] == [2 * i for i in range(9)]
    assert calls(tmp_path) == dict.fromkeys(range(9), 1)
    assert not list(tmp_path.rglob("*.part"))


def test_no_tasks(cluster, tmp_path):
    assert run([], cluster, tmp_path) == []


def test_dask_gives_tasks_to_all_workers(dask, tmp_path):
    cluster = runners.choose("DaskRunner", dask.options)
    found = {each.process for each in run(plain(16), cluster, tmp_path)}
    assert found == {worker.pid for worker in dask.workers}


def test_the_size_of_partitions_may_be_chosen(dask, tmp_path):
    options = f"{dask.options},dask_npartitions=1"
    cluster = runners.choose("DaskRunner", options)
    found = {each.process for each in run(plain(16), cluster, tmp_path)}
    assert len(found) == 1


@pytest.mark.slow
def test_dask_without_an_address_starts_workers_here(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__DASHBOARD__LINK", "")
    cluster = runners.choose("DaskRunner", None)
    found = {each.process for each in run(plain(4), cluster, tmp_path)}
    assert found
    assert os.getpid() not in found


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("user", r"^Number 1 is odd. Use `even`\.$"),
        ("archive", r"^S2A_X is missing\.$"),
        ("disk", r"^/x/y: No space left on device\. Make room"),
        ("defect", r"^D\w+Runner fails: the number has no wings\b.* Run the "),
    ],
)
def test_an_error_is_a_sentence_and_a_rerun_resumes(
    cluster, tmp_path, what, expected
):
    todo = plain(4)
    todo[1] = Task(what, 1)
    with pytest.raises(errors.UserError, match=expected) as caught:
        run(todo, cluster, tmp_path)
    assert "\n" not in str(caught.value)
    assert (type(caught.value) is errors.ArchiveError) == (what == "archive")
    finished = {
        int(path.name[:6]) for path in (tmp_path / "tasks").glob("*.result*")
    }
    assert 1 not in finished
    before = calls(tmp_path)
    with pytest.raises(errors.UserError, match=expected):
        run(todo, cluster, tmp_path)
    for number in finished:
        assert calls(tmp_path)[number] == before[number]
    assert calls(tmp_path)[1] > before[1]


def test_finished_results_are_used_if_the_job_is_the_same(tmp_path):
    cluster = runners.choose("DirectRunner", None)
    first = run(plain(3), cluster, tmp_path, identity="a")
    assert run(plain(3), cluster, tmp_path, identity="a") == first
    assert calls(tmp_path) == {0: 1, 1: 1, 2: 1}
    run(plain(3), cluster, tmp_path, identity="b")
    assert calls(tmp_path) == {0: 2, 1: 2, 2: 2}
    found = run(plain(2), cluster, tmp_path, identity="b")
    assert len(found) == 2
    assert calls(tmp_path) == {0: 3, 1: 3, 2: 2}


@pytest.mark.slow
def test_the_job_finishes_after_a_worker_was_killed(tmp_path):
    todo = plain(8)
    todo[3] = Task("die once", 3)
    with dask_processes.started(tmp_path / "dask") as dask:
        cluster = runners.choose("DaskRunner", dask.options)
        found = run(todo, cluster, tmp_path)
        alive = [each.pid for each in dask.workers if each.poll() is None]
    assert [each.doubled for each in found] == [2 * i for i in range(8)]
    assert found[3].process in alive
    assert len(alive) == 1
    # What the dead one had finished is not computed again.
    assert calls(tmp_path) == dict.fromkeys(range(8), 1) | {3: 2}


@pytest.mark.slow
def test_when_all_workers_were_killed_a_rerun_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("ben_tf.cluster.dask_cluster._LOOK_S", 0.1)
    monkeypatch.setattr("ben_tf.cluster.dask_cluster._PATIENCE_S", 0.2)
    todo = [*plain(6), Task("die", 6)]
    with dask_processes.started(tmp_path / "dask") as dask:
        cluster = runners.choose("DaskRunner", dask.options)
        with pytest.raises(errors.UserError, match="are gone") as caught:
            run(todo, cluster, tmp_path)
        assert "run the same command again" in str(caught.value)
        assert all(worker.wait() for worker in dask.workers)
        before = calls(tmp_path)
        finished = {
            int(path.name[:6])
            for path in (tmp_path / "tasks").glob("*.result*")
        }
        dask.workers.clear()
        # The same tasks, on a machine that bears them.
        monkeypatch.setattr(cluster_jobs, "JOB", cluster_jobs.BRAVE_JOB)
        dask.add_workers(1)
        found = run(todo, cluster, tmp_path)
    assert [each.doubled for each in found] == [2 * i for i in range(7)]
    for number in finished:
        assert calls(tmp_path)[number] == before[number]


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with dask_processes.started(tmp_path / "dask") as dask:
        cluster = runners.choose("DaskRunner", dask.options)
        with pytest.raises(errors.UserError, match="Workers of the Dask") as e:
            run([Task("die", 0)], cluster, tmp_path)
    assert "more memory" in str(e.value)


@pytest.mark.slow
def test_a_scheduler_that_is_killed(tmp_path, caplog):
    with dask_processes.started(tmp_path / "dask") as dask:
        todo = [*plain(2), Task(f"kill {dask.scheduler.pid}", 2)]
        cluster = runners.choose("DaskRunner", dask.options)
        with pytest.raises(errors.UserError, match="scheduler was lost"):
            run(todo, cluster, tmp_path)
    # With its tracebacks.
    assert not [x for x in caplog.records if x.name.startswith("distributed")]
