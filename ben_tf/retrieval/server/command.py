"""The flags of the search page, and what they start."""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import errors
from ben_tf import path_flags

# --help lists them with the command that asks for them.
flags.disclaim_key_flags()


def define() -> Callable[[], None]:
    """Defines the flags; returns what serves."""
    index = path_flags.define_paths(
        "index",
        None,
        "Index folders that python -m ben_tf.retrieval build wrote with one "
        "model, comma-separated.",
        required=True,
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder with the TFRecords that the indexes were built of; by default "
        "the one that their model was trained on.",
    )
    saved_model = path_flags.define_path(
        "saved_model",
        None,
        "Folder of the model that made the indexes, if it has moved since or "
        "does not lie beside them. It is run for patches that are sent.",
    )
    port = flags.DEFINE_integer(
        "port",
        8000,
        "Port to listen at; 0 for any that is free.",
        lower_bound=0,
        upper_bound=65535,
    )
    host = flags.DEFINE_string(
        "host",
        "127.0.0.1",
        "Address to listen at. Any other than this machine's own lets others "
        "in, and needs --token.",
    )
    token = flags.DEFINE_string(
        "token",
        None,
        "What requests must show. --token= makes one up and prints it.",
    )
    host_names = flags.DEFINE_list(
        "host_names",
        [],
        "Names that clients call this machine by, such as search.example.org, "
        "besides --host.",
    )
    s2_scene = path_flags.define_path(
        "s2_scene",
        None,
        "A Sentinel-2 scene of this machine, as for python -m ben_tf.predict, "
        "whose windows clients may search for. No other file is opened for "
        "them.",
    )
    s1_scene = path_flags.define_path(
        "s1_scene",
        None,
        "Likewise a Sentinel-1 scene: a GeoTIFF with VV and VH in dB.",
    )

    def main() -> None:
        command_line.import_tensorflow()
        try:
            from ben_tf.retrieval.server import server
        except ImportError as error:
            raise errors.UserError(
                f"The search page needs {error.name}. Install it with pip "
                "install 'ben-tf[search]'."
            ) from error
        server.serve(
            indexes=index.value,
            data_dir=data_dir.value,
            saved_model=saved_model.value,
            host=host.value,
            port=port.value,
            token=token.value,
            host_names=host_names.value,
            s2_scene=s2_scene.value,
            s1_scene=s1_scene.value,
        )

    return main
