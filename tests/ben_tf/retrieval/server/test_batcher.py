"""Requests that wait together are answered together, each with its own."""

import concurrent.futures
import threading

import pytest

from ben_tf.retrieval.server import batcher


class _Gate:
    """Work that waits until it is let through, and notes its batches."""

    def __init__(self):
        self.batches, self.may_work = [], threading.Event()
        self.has_begun = threading.Event()

    def __call__(self, items):
        self.has_begun.set()
        assert self.may_work.wait(30)
        self.batches.append(list(items))
        return [ValueError(f"{x} is odd") if x % 2 else x * x for x in items]


@pytest.fixture
def gate():
    gate = _Gate()
    yield gate
    gate.may_work.set()


def test_what_waits_is_one_batch(gate):
    made = batcher.Batcher(gate, most_waiting=10, most_at_once=3)
    first = made.submit(0)
    assert gate.has_begun.wait(30)
    others = [made.submit(x) for x in (2, 3, 4, 6)]
    gate.may_work.set()
    assert first.result(30) == 0
    assert others[0].result(30) == 4
    with pytest.raises(ValueError, match="3 is odd"):
        others[1].result(30)
    assert [x.result(30) for x in others[2:]] == [16, 36]
    assert gate.batches == [[0], [2, 3, 4], [6]]
    made.close()


def test_those_who_ask_again_are_one_batch():
    batches = []

    def work(items):
        batches.append(list(items))
        if len(batches) == 1:
            began.set()
            assert may_end.wait(30)
        return items

    began, may_end = threading.Event(), threading.Event()
    # Waits as long as it takes for as many as there were before.
    made = batcher.Batcher(work, patience=1e9)
    alone = made.submit(0)
    assert began.wait(30)
    together = [made.submit(x) for x in (1, 2, 3)]
    may_end.set()
    assert [x.result(30) for x in (alone, *together)] == [0, 1, 2, 3]
    again = [made.submit(x) for x in (4, 5)]
    with pytest.raises(TimeoutError):
        again[0].result(0)
    again.append(made.submit(6))
    assert [x.result(30) for x in again] == [4, 5, 6]
    assert batches == [[0], [1, 2, 3], [4, 5, 6]]
    # Fewer are answered as well, at the latest when it closes.
    last = made.submit(7)
    made.close()
    assert last.result(0) == 7


def test_nobody_is_waited_for_without_patience():
    made = batcher.Batcher(lambda items: items, patience=0)
    for number in range(3):
        together = [made.submit(x) for x in range(number + 1)]
        assert [x.result(30) for x in together] == list(range(number + 1))
    assert made.submit(9).result(30) == 9
    made.close()


def test_too_many_are_refused_and_the_others_answered(gate):
    made = batcher.Batcher(gate, most_waiting=2, most_at_once=3)
    first = made.submit(0)
    assert gate.has_begun.wait(30)
    waiting = [made.submit(2), made.submit(4)]
    with pytest.raises(batcher.BusyError):
        made.submit(6)
    gate.may_work.set()
    assert [x.result(30) for x in (first, *waiting)] == [0, 4, 16]
    made.close()


def test_nobody_works_for_who_has_left(gate):
    made = batcher.Batcher(gate, most_waiting=10, most_at_once=10)
    first = made.submit(0)
    assert gate.has_begun.wait(30)
    left, stays = made.submit(2), made.submit(4)
    assert left.cancel()
    gate.may_work.set()
    assert (first.result(30), stays.result(30)) == (0, 16)
    assert gate.batches == [[0], [4]]
    made.close()


def test_what_fails_as_a_whole_is_told_to_all():
    def fail(items):
        raise RuntimeError("out of order")

    made = batcher.Batcher(fail, most_waiting=10, most_at_once=10)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of order"):
            made.submit(1).result(30)
    made.close()


def test_closing_answers_what_waits(gate):
    made = batcher.Batcher(gate, most_waiting=10, most_at_once=1)
    futures = [made.submit(x) for x in (0, 2, 4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        closing = pool.submit(made.close)
        gate.may_work.set()
        closing.result(30)
    assert [x.result(0) for x in futures] == [0, 4, 16]
    with pytest.raises(batcher.BusyError):
        made.submit(6)
    made.close()
