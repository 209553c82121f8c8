"""TensorFlow Addons, which exists on one lane only."""

import types

from ben_tf import errors


def load(argument: str, *, instead: str) -> types.ModuleType:
    """Imports TensorFlow Addons.

    Args:
      argument: Name and value of what needs it, such as "optimizer=lamb".
      instead: What does not need it.

    Raises:
      UserError: It does not exist for this Python.
    """
    try:
        import tensorflow_addons
    except ImportError as error:
        raise errors.UserError(
            f"`{argument}` needs TensorFlow Addons, which exists for Python "
            "3.11 and TensorFlow 2.15 only. Use those, or choose "
            f"{instead}."
        ) from error
    return tensorflow_addons
