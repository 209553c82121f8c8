"""What every output says of where its numbers come from."""

from collections.abc import Mapping

from ben_tf import origin
from ben_tf import saved_model


def of(
    model: saved_model.Description, *, of_synthetic: bool = False
) -> dict[str, str]:
    """Which model predicted, when, and whether that says anything.

    Args:
      model: The model.
      of_synthetic: Whether what it looks at is synthetic.

    Returns:
      Names and texts, for the tags of a GeoTIFF, the metadata of a Parquet file
      or the members of GeoJSON.
    """
    return {
        "model": model.model,
        "fingerprint": model.fingerprint,
        "trained_on": ", ".join(model.trained_on) or "unknown",
        "synthetic": str(of_synthetic or model.trained_on_synthetic).lower(),
        "date": origin.date(),
        "software": origin.software(),
        "units": "probability, from 0 to 1",
    }


def line(tags: Mapping[str, str]) -> str:
    """The same for the console, in a sentence or two."""
    text = (
        f"By {tags['model']} ({origin.short(tags['fingerprint'])}), trained on "
        f"{tags['trained_on']}."
    )
    if tags["synthetic"] == "true":
        text += (
            " Synthetic patches, or a model of such: these predictions say "
            "nothing about the Earth."
        )
    return text
