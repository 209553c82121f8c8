"""Values that are kept for a while: the newest, up to a number of bytes."""

import collections
import threading
from typing import Generic
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """A cache; threads may share it."""

    def __init__(self, most_bytes: int):
        """Keeps nothing yet.

        Args:
          most_bytes: Of all values together; those that were put first leave.
        """
        self._most_bytes = most_bytes
        self._num_bytes = 0
        self._values: collections.OrderedDict[Key, tuple[Value, int]] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    def put(self, key: Key, value: Value, num_bytes: int) -> None:
        """Keeps a value of so many bytes, instead of one of the same key."""
        with self._lock:
            _, before = self._values.pop(key, (None, 0))
            self._values[key] = value, num_bytes
            self._num_bytes += num_bytes - before
            while self._num_bytes > self._most_bytes:
                _, (_, gone) = self._values.popitem(last=False)
                self._num_bytes -= gone

    def get(self, key: Key) -> Value | None:
        """A value; None if it is not kept any more, or never was."""
        with self._lock:
            value, _ = self._values.get(key, (None, 0))
        return value
