"""What a converted model says of itself, since it has no `describe`."""

from typing import Any

import msgspec

import ben_tf
from ben_tf import saved_model as saved_model_lib


def of(description: saved_model_lib.Description) -> dict[str, Any]:
    """What people look for first, and the whole description.

    Returns:
      Values that JSON can hold; "class_names" in the order of the
      probabilities.
    """
    return {
        "class_names": list(description.class_names),
        "trained_on_synthetic": description.trained_on_synthetic,
        "fingerprint": description.fingerprint,
        "software": f"ben_tf {ben_tf.__version__}",
        "description": msgspec.to_builtins(description),
    }


def texts_of(description: saved_model_lib.Description) -> dict[str, str]:
    """The same for a format that holds texts: what is none becomes JSON."""
    return {
        name: value if isinstance(value, str) else _json(value)
        for name, value in of(description).items()
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
