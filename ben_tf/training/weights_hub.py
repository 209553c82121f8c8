"""Fetches released weights from Hugging Face."""

import os
import pathlib
import re

from ben_tf import errors
from ben_tf.training import timm_checkpoint

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_VERSION = re.compile(r"-v(\d+\.\d+\.\d+)$")


def find(weights: str | os.PathLike) -> tuple[pathlib.Path, str | None]:
    """The folder of released weights, and their version if the hub says so.

    Args:
      weights: A folder; or a name on the hub such as
        BIFOLD-BigEarthNetv2-0/resnet50-all-v0.2.0, which is fetched unless it
        lies in the hub's cache. What was fetched in part is resumed, and
        checked.

    Raises:
      errors.UserError: No such folder, or it cannot be fetched.
    """
    if os.path.isdir(weights):
        return pathlib.Path(weights), None
    name = os.fspath(weights)
    wanted = [timm_checkpoint.CONFIG_FILE, timm_checkpoint.WEIGHTS_FILE]
    by_hand = f"Or put its {' and '.join(wanted)} into a folder, and name that."
    if not _HUB_NAME.fullmatch(name):
        raise errors.UserError(
            f"No folder {name}. Expected one, or a name on Hugging Face such "
            f"as BIFOLD-BigEarthNetv2-0/resnet50-all-v0.2.0. {by_hand}"
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise errors.UserError(
            f"There is no folder {name}, and to fetch it from Hugging Face "
            f"takes huggingface_hub: pip install huggingface_hub. {by_hand}"
        ) from error
    try:
        folder = huggingface_hub.snapshot_download(name, allow_patterns=wanted)
    except Exception as error:  # Of the hub, of requests and of the disk.
        raise errors.UserError(
            f"{name} cannot be fetched from Hugging Face: "
            f"{errors.first_line(error)}. {by_hand}"
        ) from error
    version = _VERSION.search(name)
    return pathlib.Path(folder), version[1] if version else None
