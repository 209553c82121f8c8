"""Arrays of NumPy as a part of the result of a task."""

import msgspec
import numpy as np

from ben_tf import errors

# Numbers, truth values and bytes: nothing that would be executed.
_KINDS = "biufS"


class Array(msgspec.Struct, frozen=True):
    """An array; JSON holds its bytes as text, exactly.

    Attributes:
      dtype: As of NumPy's array interface, such as "<f4".
      shape: Its lengths.
      data: Its values, the last axis first.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: np.ndarray) -> "Array":
        """Holds a copy; strings of TensorFlow become bytes of one length."""
        if array.dtype.kind == "O":
            array = array.astype(bytes)
        return cls(array.dtype.str, array.shape, array.tobytes())

    @property
    def value(self) -> np.ndarray:
        """The array, read-only.

        Raises:
          errors.UserError: This is none.
        """
        try:
            dtype = np.dtype(self.dtype)
            if dtype.kind not in _KINDS:
                raise ValueError(f"it holds {dtype}")
            # NumPy would work out a negative one.
            if min(self.shape, default=0) < 0:
                raise ValueError(f"its shape is {self.shape}")
            return np.frombuffer(self.data, dtype).reshape(self.shape)
        except (TypeError, ValueError) as error:
            raise errors.UserError(
                "The result of a task is damaged: "
                f"{errors.first_line(error)}. Remove the folder with the "
                "results, and run the same command again."
            ) from error
