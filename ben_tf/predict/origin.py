"""What every output says of where its numbers come from."""

import datetime

import ben_tf
from ben_tf import saved_model


def of(model: saved_model.Description) -> dict[str, str]:
    """Which model predicted, when, and whether that says anything.

    Returns:
      Names and texts, for the tags of a GeoTIFF, the metadata of a Parquet file
      or the members of GeoJSON.
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "model": model.model,
        "fingerprint": model.fingerprint,
        "trained_on": ", ".join(model.trained_on) or "unknown",
        "trained_on_synthetic": str(model.trained_on_synthetic).lower(),
        "date": now.isoformat(timespec="seconds"),
        "software": f"ben_tf {ben_tf.__version__}",
        "units": "probability, from 0 to 1",
    }
