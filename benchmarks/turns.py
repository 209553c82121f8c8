"""Times two pieces of code in turns, as the ratios of benchmarks need it."""

import statistics
import time
from collections.abc import Callable


def compare(
    first: Callable[[], object], second: Callable[[], object], *, rounds: int
) -> tuple[float, float]:
    """Median seconds of each, taken in turns after a warm-up.

    They take turns in going first. Medians, since the best round of one against
    an ordinary round of the other has shown impossible ratios.
    """
    functions = (first, second)
    seconds: tuple[list[float], list[float]] = ([], [])
    first(), second()
    for turn in range(rounds):
        for number in (turn % 2, 1 - turn % 2):
            start = time.perf_counter()
            functions[number]()
            seconds[number].append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])
