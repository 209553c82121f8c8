"""Fields of a configuration: what they hold, and which values they allow."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TypeVar

from ben_tf import errors

Value = TypeVar("Value")


def field(
    default: Value,
    text: str,
    *,
    group: str,
    choices: Sequence[Value] | None = None,
    minimum: Value | None = None,
    may_change: bool = False,
    is_path: bool = False,
    usual: bool = False,
) -> Value:
    """A dataclass field with what its flag needs.

    `group` is the title above it in --help.
    `may_change` marks fields that may differ when a run is resumed, `is_path`
    those in which ~ is the home folder, `usual` those that --help describes.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": text,
            "group": group,
            "choices": choices,
            "minimum": minimum,
            "may_change": may_change,
            "is_path": is_path,
            "usual": usual,
        },
    )


def check(field: dataclasses.Field, value: object) -> None:
    """Refuses a value that its field does not allow.

    Raises:
      UserError: Wrong type, not among the choices, or below the minimum.
    """
    choices, minimum = field.metadata["choices"], field.metadata["minimum"]
    expected = None
    # An integer serves as a float, but True does not serve as an integer.
    types = (int, float) if field.type is float else (field.type,)
    if not isinstance(value, types) or (  # type: ignore[arg-type]
        isinstance(value, bool) and field.type is not bool
    ):
        name = field.type.__name__  # type: ignore[union-attr]
        expected = f"a value of type {name}"
    elif choices is not None and value not in choices:
        expected = f"one of {', '.join(map(str, choices))}"
    elif minimum is not None and not value >= minimum:
        expected = f"at least {minimum}"
    elif isinstance(value, float) and not math.isfinite(value):
        expected = "a finite number"
    if expected:
        raise errors.UserError(
            f"Invalid `{field.name}`. Expected {expected}. Received: {value!r}"
        )
