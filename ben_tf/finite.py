"""Checks that the numbers of a network are finite.

A loss does not tell: ReLU turns NaN into 0, and a network whose every weight is
NaN gives one and the same finite answer.
"""

from collections.abc import Iterable

import tensorflow as tf

from ben_tf import errors


def check(variables: Iterable[tf.Variable], what: str) -> None:
    """Refuses variables that hold NaN or an infinite number.

    Args:
      variables: Of any dtype; those of integers are left out.
      what: What they belong to, the subject of the message.

    Raises:
      NotFinite: One does.
    """
    broken = {}
    for variable in variables:
        if variable.dtype.is_floating:
            is_finite = tf.math.is_finite(variable)
            if not tf.reduce_all(is_finite):
                broken[variable.name.partition(":")[0]] = is_finite
    if broken:
        name, is_finite = next(iter(broken.items()))
        number = tf.size(is_finite) - tf.math.count_nonzero(
            is_finite, dtype=tf.int32
        )
        raise NotFinite(
            f"{what} hold NaN or infinite numbers in {len(broken)} of their "
            f"arrays; the first is {name}, {number:,} of "
            f"{tf.size(is_finite):,}"
        )


class NotFinite(errors.UserError):
    """A network, or what belongs to it, holds NaN or infinite numbers."""
