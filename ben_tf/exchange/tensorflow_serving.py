"""A folder that TensorFlow Serving serves.

    FOLDER/model.config
    FOLDER/request.json
    FOLDER/NAME/1/saved_model.pb, variables/

`model_server_config.proto` of TensorFlow Serving defines the first. The second
is the body of a request to its REST interface: one patch of random pixels.
"""

import json
import pathlib

from ben_tf import files
from ben_tf import saved_model as saved_model_lib
from ben_tf.cards import templates
from ben_tf.exchange import network

# Where the folder is mounted in a container.
MOUNTED = pathlib.PurePosixPath("/models")
_DECIMALS = 2


def model_path(name: str) -> pathlib.PurePath:
    """Where in the folder the SavedModel lies."""
    return pathlib.PurePath(name, "1")


def write(served: saved_model_lib.ServedModel, folder: pathlib.Path) -> None:
    """Writes what goes with the model.

    Args:
      served: The model.
      folder: The folder to mount at `MOUNTED`.
    """
    files.write(
        folder / "model.config",
        templates.render(
            "exchange/model.config",
            name=served.model,
            base_path=MOUNTED / served.model,
        ),
    )
    files.write(
        folder / "request.json",
        json.dumps(request(served), separators=(",", ":")) + "\n",
    )


def request(served: saved_model_lib.ServedModel) -> dict[str, object]:
    """Makes the body of a request, in TensorFlow Serving's row format."""
    patches = network.random_patches(served, 1)
    return {
        "signature_name": "serving_default",
        "instances": [
            {
                name: array.astype(float).round(_DECIMALS).tolist()[0]
                if array.dtype.kind == "f"
                else array.tolist()[0]
                for name, array in patches.items()
            }
        ],
    }
