"""Tasks in several processes give what they give in one."""

import os
import pathlib
import subprocess
import sys

import pytest

from tfrecords_builder import workers

ROOT = pathlib.Path(__file__).parents[2]


def add(task: int, shared: int) -> tuple[int, int]:
    if task < 0:
        raise ValueError("A negative task.")
    return task + shared, os.getpid()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(num_workers):
    found = list(
        workers.run(add, range(20), shared=100, num_workers=num_workers)
    )
    assert [result for result, _ in found] == list(range(100, 120))
    processes = {process for _, process in found}
    if num_workers == 1:
        assert processes == {os.getpid()}
    else:
        assert os.getpid() not in processes
        assert len(processes) <= 2


def test_one_task_starts_no_process():
    ((_, process),) = workers.run(add, [1], shared=0, num_workers=8)
    assert process == os.getpid()
    assert list(workers.run(add, [], shared=0, num_workers=8)) == []


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_first_error_ends_the_iteration(num_workers):
    results = workers.run(
        add, [1, -1, *range(100)], shared=0, num_workers=num_workers
    )
    assert next(results)[0] == 1
    with pytest.raises(ValueError, match="negative"):
        next(results)
    assert list(results) == []


INTERRUPTED = """
import os, signal, sys
from multiprocessing import forkserver
start = forkserver.ensure_running
def start_and_interrupt():
    start()
    if sys.argv[1] == "start":
        os.killpg(0, signal.SIGINT)
forkserver.ensure_running = start_and_interrupt
os.setpgrp()
from tests.tfrecords_builder import test_workers
from tfrecords_builder import workers
results = workers.run(test_workers.add, range(99), shared=0, num_workers=2)
try:
    next(results)
    os.killpg(0, signal.SIGINT)
    list(results)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("moment", ["start", "work"])
def test_ctrl_c_is_heard_by_the_program_alone(moment):
    finished = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, moment],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (finished.stdout, finished.stderr) == ("interrupted\n", "")
    assert finished.returncode == 0


SCRIPT = """
import operator
print("run")
from tfrecords_builder import workers
print(list(workers.run(operator.add, [1, 2, 3], shared=4, num_workers=2)))
assert __file__ == __import__("sys").argv[0]
"""


def test_a_script_needs_no_guard(tmp_path):
    """Its processes do not run it again."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "run\n[5, 6, 7]\n", result.stderr


def test_the_default_is_a_worker_a_core():
    found = list(workers.run(add, range(20), shared=0, num_workers=None))
    processes = {process for _, process in found}
    assert len(processes) <= len(os.sched_getaffinity(0))
    assert (os.getpid() in processes) == (len(os.sched_getaffinity(0)) == 1)
