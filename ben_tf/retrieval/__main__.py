"""Finds the patches that look like a query.

    python -m ben_tf.retrieval build     embeds a split and writes an index
    python -m ben_tf.retrieval query     prints the patches most like a query
    python -m ben_tf.retrieval evaluate  scores one index against another
    python -m ben_tf.retrieval gallery   draws queries and hits as a web page
    python -m ben_tf.retrieval projector writes an index for TensorBoard
    python -m ben_tf.retrieval serve     opens a search page in the browser
    python -m ben_tf.retrieval export    exports one model that answers queries

`python -m ben_tf.retrieval build --help` shows the options of a command.
"""

from collections.abc import Callable

from absl import flags

from ben_tf import command_line
from ben_tf import files
from ben_tf import path_flags
from ben_tf.cluster import cluster_flags
from ben_tf.retrieval import where_flags
from ben_tf.retrieval.server import command as server_command

_GROUPS = {
    "build": {
        "what to embed": ("split", "modality", "data_dir", "batch_size"),
        "how to search": ("distance", "search", "bits"),
        "on a cluster": cluster_flags.NAMES,
    },
    "query": {
        "queries": (
            "patch",
            "names_file",
            "s1_folder",
            "s2_folder",
            "data_dir",
            "modality",
        ),
        "answer": ("k", "format", "output_file"),
    },
    "gallery": {
        "queries": ("patch", "queries", "num_queries", "data_dir"),
        "page": ("k", "output_file"),
    },
}


def build() -> Callable[[], None]:
    """Embeds splits of the dataset with a model and writes an index folder."""
    saved_model = path_flags.define_path(
        "saved_model",
        None,
        "Folder of the exported model, such as WORKDIR/saved_model.",
        required=True,
    )
    data_dir = _define_data_dir()
    output_dir = path_flags.define_path(
        "output_dir",
        None,
        "The index folder to write. An index there is replaced at the end.",
        required=True,
    )
    split = flags.DEFINE_list(
        "split",
        "test",
        "Splits to embed, comma-separated: train, validation, test, excluded, "
        "or a part of one such as test[:1000] or 'test[country=Finland]'; a "
        "part in double quotes if a label in it has a comma.",
    )
    distance = flags.DEFINE_enum(
        "distance",
        "chi_square",
        ["chi_square", "euclidean", "cosine"],
        "chi_square is the paper's and needs features without negative values.",
    )
    search = flags.DEFINE_enum(
        "search",
        "auto",
        ["auto", "flat", "ivf", "hnsw", "pq", "ivf_pq", "binary"],
        "flat looks at every patch and is exact. ivf, hnsw, pq and ivf_pq are "
        "approximate, for Euclidean and cosine distance; their parameters "
        "follow from the number of patches. ivf_pq is for more embeddings than "
        "memory holds; auto takes it for those, otherwise flat, and says so. "
        "binary compares codes of --bits bits by Hamming distance.",
    )
    bits = flags.DEFINE_integer(
        "bits", 64, "Length of binary codes, a multiple of 8."
    )
    modality = _define_modality(
        "Which sensors to embed; by default those of the model."
    )
    batch_size = flags.DEFINE_integer(
        "batch_size", 128, "Patches embedded at once.", lower_bound=1
    )

    beam_arguments = cluster_flags.define()

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.retrieval import index_builder
        from ben_tf.retrieval import index_writer

        path = index_builder.build_index(
            saved_model=saved_model.value,
            data_dir=data_dir.value,
            output_dir=output_dir.value,
            splits=split.value,
            modality=modality.value,
            options=index_writer.IndexOptions(
                distance.value, search.value, bits.value
            ),
            batch_size=batch_size.value,
            **beam_arguments(),
        )
        print(f"Wrote the index {path}")

    return main


def query() -> Callable[[], None]:
    """Prints the k patches of an index that look most like each query.

    The query is a patch of the index or of the dataset (--patch), many of them
    (--names_file), a pair of folders of the extracted archive, the middle of an
    image (--image), or what several patches have in common (--positives,
    --negatives).
    """
    index = _define_index()
    patch = flags.DEFINE_list(
        "patch", [], "Names of S2 patches, comma-separated."
    )
    names_file = path_flags.define_path(
        "names_file",
        None,
        "Text file with the name of an S2 patch on each line.",
    )
    s1_folder = path_flags.define_path(
        "s1_folder", None, "Folder of an S1 patch of the extracted archive."
    )
    s2_folder = path_flags.define_path(
        "s2_folder", None, "Folder of an S2 patch of the extracted archive."
    )
    positives = flags.DEFINE_list(
        "positives",
        [],
        "Names of patches, comma-separated, that are one query together: more "
        "like these.",
    )
    negatives = flags.DEFINE_list(
        "negatives",
        [],
        "Names of patches that the hits of --positives should not look like.",
    )
    where = where_flags.define()
    image = path_flags.define_paths(
        "image",
        [],
        "GeoTIFF with many bands, as Earth Engine, openEO and SNAP export it, "
        "or some with commas between them; its middle 1.2 km are a query.",
    )
    bands = flags.DEFINE_list(
        "bands",
        None,
        "What the bands of --image are, in order, where they do not say so "
        "themselves, such as B02,B03,B04,B08,VV,VH.",
    )
    s2_offset = flags.DEFINE_float(
        "s2_offset",
        None,
        "What to add to the numbers of --image: -1000 for products since 2022 "
        "that are not shifted back.",
    )
    reflectance_scale = flags.DEFINE_float(
        "reflectance_scale",
        None,
        "The number that --image stores a reflectance of 1 as: 1 for "
        "reflectance from 0 to 1. By default 10,000.",
    )
    data_dir = _define_data_dir()
    saved_model = _define_model()
    modality = _define_modality(
        "What of the queries to look at; by default that of the index. With a "
        "model of --fusion=shared, S1 finds patches of an index of S2."
    )
    k = flags.DEFINE_integer("k", 10, "Number of hits.", lower_bound=1)
    output_format = flags.DEFINE_enum(
        "format",
        None,
        ["table", "json", "csv", "geojson", "parquet"],
        "How to write the answer; by default as --output_file ends, else a "
        "table. All say labels, country, date and place of queries and hits, "
        "and where the answer comes from.",
    )
    output_file = path_flags.define_path(
        "output_file", None, "File to write; by default standard output."
    )

    def main() -> None:
        if output_file.value:
            files.check_writable(output_file.value)
        command_line.import_tensorflow()
        from ben_tf.retrieval import answer_formats
        from ben_tf.retrieval import index as index_lib
        from ben_tf.retrieval import query as query_lib
        from ben_tf.scenes import layers

        answer = query_lib.query(
            index_lib.Index.open(index.value, saved_model=saved_model.value),
            names=[*patch.value, *query_lib.read_names(names_file.value)],
            s1_folder=s1_folder.value,
            s2_folder=s2_folder.value,
            image_paths=image.value,
            hints=layers.Hints(
                s2_offset=s2_offset.value,
                reflectance_scale=reflectance_scale.value,
                bands=bands.value,
            ),
            data_dir=data_dir.value,
            modality=modality.value,
            k=k.value,
            positives=positives.value,
            negatives=negatives.value,
            where=where(),
        )
        format_name = output_format.value or answer_formats.format_of(
            output_file.value
        )
        if output_file.value:
            files.write(
                output_file.value, answer_formats.encode(answer, format_name)
            )
            print(f"Wrote the answer to {output_file.value}")
        else:
            print(answer_formats.write(answer, format_name))

    return main


def evaluate() -> Callable[[], None]:
    """Scores retrieval for every pair of a query index and an archive index.

    Validation queries against the test archive: build an index of each. Test
    against test without the query itself: give the same index twice. All
    directions: give indexes of S1 and of S2 on both sides.
    """
    archive = path_flags.define_paths(
        "archive", None, "Index folders to search.", required=True
    )
    queries = path_flags.define_paths(
        "queries",
        None,
        "Index folders whose patches are the queries.",
        required=True,
    )
    ks = flags.DEFINE_list(
        "ks", "1,5,10,20,50,100", "Cut-offs k, comma-separated."
    )
    flags.register_validator(
        ks,
        lambda values: all(value.strip().isdecimal() for value in values),
        "Expected whole numbers, comma-separated.",
    )
    output_file = path_flags.define_path(
        "output_file",
        None,
        "JSON file for the scores; by default scores.json in the first "
        "archive's folder.",
    )

    allow_leakage = flags.DEFINE_bool(
        "allow_leakage",
        False,
        "Score a model also on patches of another version of BigEarthNet that "
        "it was trained on; the scores then say so.",
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.retrieval import index_evaluation

        path = index_evaluation.write_scores(
            archives=archive.value,
            queries=queries.value,
            ks=[int(value) for value in ks.value],
            output_file=output_file.value,
            allow_leakage=allow_leakage.value,
        )
        print(f"Wrote the scores to {path}")

    return main


def gallery() -> Callable[[], None]:
    """Draws queries and their nearest patches as one self-contained page."""
    index = _define_index()
    patch = flags.DEFINE_list(
        "patch",
        [],
        "Names of S2 patches to ask for; by default --num_queries of the index "
        "or, with --queries, of that index.",
    )
    queries = path_flags.define_path(
        "queries",
        None,
        "Index folder whose patches are the queries; by default --index.",
    )
    num_queries = flags.DEFINE_integer(
        "num_queries", 10, "How many queries to draw.", lower_bound=1
    )
    data_dir = _define_data_dir()
    k = flags.DEFINE_integer("k", 5, "Number of hits.", lower_bound=1)
    output_file = path_flags.define_path(
        "output_file", "gallery.html", "The page to write."
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.retrieval import gallery as gallery_lib

        path = gallery_lib.write_gallery(
            index=index.value,
            queries=queries.value or index.value,
            names=patch.value,
            num_queries=num_queries.value,
            data_dir=data_dir.value,
            k=k.value,
            output_file=output_file.value,
        )
        print(f"Wrote the gallery {path}")

    return main


def projector() -> Callable[[], None]:
    """Writes embeddings of an index for TensorBoard's Embedding Projector.

    Each patch has its name, country, season, split, date and labels, and a
    small picture: true colour, or radar if the index is of S1.
    """
    index = _define_index()
    output_dir = path_flags.define_path(
        "output_dir",
        None,
        "The folder to write, for tensorboard --logdir.",
        required=True,
    )
    data_dir = _define_data_dir()
    num_patches = flags.DEFINE_integer(
        "num_patches",
        10_000,
        "How many patches to show at most, evenly spaced in the index. The "
        "page is slow with more, and takes no more than 100,000.",
        lower_bound=1,
        upper_bound=100_000,
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.retrieval import projector as projector_lib

        written = projector_lib.write(
            index=index.value,
            output_dir=output_dir.value,
            data_dir=data_dir.value,
            num_patches=num_patches.value,
        )
        print(
            f"Wrote {written.num_shown:,} of {written.num_patches:,} patches. "
            f"Show them with tensorboard --logdir={output_dir.value}"
        )

    return main


def export() -> Callable[[], None]:
    """Exports model and index as one SavedModel.

    It takes raw bands and k and returns names and scores, in a process that
    has only TensorFlow.
    """
    index = _define_index()
    saved_model = _define_model()
    output_dir = path_flags.define_path(
        "output_dir", None, "Folder of the SavedModel to write.", required=True
    )

    def main() -> None:
        command_line.import_tensorflow()
        from ben_tf.retrieval import index as index_lib
        from ben_tf.retrieval import serving

        path = serving.export(
            index_lib.Index.open(index.value, saved_model=saved_model.value),
            output_dir.value,
        )
        print(f"Wrote the serving model {path}")

    return main


def serve() -> Callable[[], None]:
    """Opens a search page on your own indexes, and an interface for programs.

    A map of all patches: click one, or give a name or GeoTIFFs of your own,
    and narrow what it finds by label, country, season, date and place. The
    page is at http://127.0.0.1:8000/, for this machine alone; /docs there
    describes the interface for programs.
    """
    return server_command.define()


_COMMANDS = {
    command.__name__: command
    for command in (
        *(build, query, evaluate, gallery),
        *(projector, serve, export),
    )
}


def _define_index() -> flags.FlagHolder[str]:
    return path_flags.define_path(
        "index",
        None,
        "Index folder that python -m ben_tf.retrieval build wrote.",
        required=True,
    )


def _define_data_dir() -> flags.FlagHolder[str | None]:
    return path_flags.define_path(
        "data_dir",
        None,
        "Folder with the TFRecords that tfrecords_builder.build wrote. By "
        "default the one that the model was trained on, if it lies in its "
        "workdir.",
    )


def _define_modality(meaning: str) -> flags.FlagHolder[str | None]:
    return flags.DEFINE_enum("modality", None, ["S1", "S2", "MM"], meaning)


def _define_model() -> flags.FlagHolder[str | None]:
    return path_flags.define_path(
        "saved_model",
        None,
        "Folder of the model that made the index, if it has moved since or "
        "does not lie beside the index.",
    )


if __name__ == "__main__":
    command_line.run_command(_COMMANDS, groups=_GROUPS)
