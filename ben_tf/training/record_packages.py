"""The optional packages that keep records of runs. Takes no TensorFlow."""

import importlib.util

from ben_tf import errors

# As they are imported and as they are installed.
NAMES = ("wandb", "mlflow")


def check_installed(name: str) -> None:
    """Refuses a package that is not there.

    Args:
      name: One of `NAMES`.

    Raises:
      UserError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise errors.UserError(
            f"`log={name}` needs the package {name}. Install it with pip "
            f"install {name}, or leave out `log`."
        )
