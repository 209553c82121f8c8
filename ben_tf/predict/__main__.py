r"""Labels for new images: patches, an archive, a split, or a whole scene.

    python -m ben_tf.predict --saved_model=... --output=labels.csv \
        --input=S2_PATCH_FOLDER,S1_PATCH_FOLDER
    ... --input=ARCHIVE_FOLDER --output=labels.geojson
    ... --split=test --output=labels.parquet
    ... --s2_scene=X.SAFE --s1_scene=vv_vh_db.tif --output=map.tif
    ... --image=export.tif --output=map.tif

A model of one sensor takes only that sensor. A broken patch is reported and
left out; the others are predicted.
"""

import sys
from collections.abc import Callable

from absl import flags

from ben_tf import bigearthnet
from ben_tf import command_line
from ben_tf import errors
from ben_tf import files
from ben_tf import path_flags
from ben_tf.cluster import cluster_flags
from ben_tf.data import run_data

_NUM_FAULTS_SHOWN = 20
_GROUPS = {
    "patches": ("input", "data_dir", "split"),
    "on a cluster": cluster_flags.NAMES,
    "a scene": ("s2_scene", "s1_scene", "s2_offset", "s1_bands", "stride_m"),
}


def command() -> Callable[[], None]:
    """Defines the flags; returns what the command does."""
    saved_model = path_flags.define_path(
        "saved_model",
        None,
        "Folder of the exported model, such as WORKDIR/saved_model.",
        required=True,
    )
    output = path_flags.define_path(
        "output",
        None,
        "File to write. Patches: .csv, .parquet or .geojson. A scene: .tif or "
        ".geojson.",
        required=True,
    )
    inputs = path_flags.define_paths(
        "input",
        [],
        "The folder of a patch, the two folders of a pair with a comma between "
        "them, or the folder of an archive.",
    )
    data_dir = path_flags.define_path(
        "data_dir",
        None,
        "Folder with TFRecords; --split of them is predicted. By default those "
        "that the model was trained on, if it lies in its workdir.",
    )
    split = flags.DEFINE_string(
        "split", "test", "Split of the dataset to predict."
    )
    s2_scene = path_flags.define_path(
        "s2_scene",
        None,
        "A whole Sentinel-2 scene: a Level-2A product (SAFE folder, .zip or "
        "MTD_MSIL2A.xml), or a folder with a GeoTIFF or JPEG 2000 file for "
        "each band.",
    )
    s2_offset = flags.DEFINE_float(
        "s2_offset",
        None,
        "What to add to the numbers of --s2_scene or --image, where there is "
        "no MTD_MSIL2A.xml to say so: -1000 for products since 2022.",
    )
    reflectance_scale = flags.DEFINE_float(
        "reflectance_scale",
        None,
        "The number that --s2_scene or --image stores a reflectance of 1 as, "
        "where no metadata say so: 1 for reflectance from 0 to 1. By default "
        "10,000.",
    )
    s1_scene = path_flags.define_path(
        "s1_scene",
        None,
        "A whole Sentinel-1 scene: a terrain-corrected GeoTIFF with VV and VH "
        "in dB.",
    )
    s1_bands = flags.DEFINE_list(
        "s1_bands",
        None,
        "What the bands of --s1_scene are, in order, where it does not say so "
        "itself: VV,VH or VH,VV.",
    )
    image = path_flags.define_paths(
        "image",
        [],
        "A whole scene as one GeoTIFF with many bands, as Earth Engine, openEO "
        "and SNAP export it, or as some with commas between them.",
    )
    bands = flags.DEFINE_list(
        "bands",
        None,
        "What the bands of --image are, in order, where they do not say so "
        "themselves, such as B02,B03,B04,B08,VV,VH.",
    )
    stride_m = flags.DEFINE_integer(
        "stride_m",
        bigearthnet.PATCH_SIZE_M,
        "Metres between the windows of a scene, a multiple of 60. Below 1200 "
        "windows overlap, and the map is finer: the mean of those that cover a "
        "pixel.",
    )
    stac = flags.DEFINE_bool(
        "stac",
        False,
        "Write X.stac.json next to the output X as well, a STAC item: which "
        "files, where, when, by which model.",
    )
    datetime = flags.DEFINE_string(
        "datetime",
        None,
        "When the images were taken, for --stac, where their names do not say "
        "so: 2017-06-13T10:10:31Z.",
    )
    batch_size = flags.DEFINE_integer(
        "batch_size", 128, "Patches predicted at once.", lower_bound=1
    )
    beam_arguments = cluster_flags.define()

    def main() -> None:
        has_product = bool(s2_scene.value or s1_scene.value)
        is_scene = has_product or bool(image.value)
        is_dataset = bool(data_dir.value) or split.present > 0
        given = (inputs.value, is_dataset, image.value, has_product)
        if sum(map(bool, given)) != 1:
            raise errors.UserError(
                "Expected one thing to predict: --input, or a --split of "
                "--data_dir, or --image, or --s2_scene and --s1_scene."
            )
        dataset = None
        if is_dataset:
            dataset = run_data.of_model(saved_model.value, data_dir.value)
        for hint in (s2_offset, reflectance_scale, s1_bands, bands):
            if hint.present and not is_scene:
                raise errors.UserError(
                    f"`{hint.name}` is of whole scenes. Expected `s2_scene`, "
                    "`s1_scene` or `image` with it."
                )
        if datetime.value and not stac.value:
            raise errors.UserError(
                "`datetime` is for a STAC item. Expected `stac` with it."
            )
        if is_scene and any(beam_arguments().values()):
            raise errors.UserError(
                "A scene is predicted by one process. Expected `beam_runner` "
                "with an archive in `input`, or with a `split` of a dataset."
            )
        # Before TensorFlow and the model, which take seconds to load.
        files.check_writable(output.value)
        command_line.import_tensorflow()
        from ben_tf.predict import origin
        from ben_tf.predict import stac as stac_lib

        request = None
        if stac.value:
            request = stac_lib.Request(
                saved_model.value,
                stac_lib.parse_time(datetime.value) if datetime.value else None,
            )
        if is_scene:
            from ben_tf import saved_model as saved_models
            from ben_tf.predict import scene
            from ben_tf.scenes import layers

            predicted = scene.predict_scene(
                saved_models.load(saved_model.value),
                s2_scene=s2_scene.value,
                s1_scene=s1_scene.value,
                image_paths=image.value,
                output=output.value,
                stride_m=stride_m.value,
                batch_size=batch_size.value,
                hints=layers.Hints(
                    s2_offset=s2_offset.value,
                    reflectance_scale=reflectance_scale.value,
                    s1_bands=s1_bands.value,
                    bands=bands.value,
                ),
                stac_request=request,
            )
            print(
                f"The map is {predicted.path}; {predicted.nodata_share:.1%} of "
                f"it holds no data\n{origin.line(predicted.tags)}"
            )
            if request:
                print(f"The STAC item is {stac_lib.item_path(output.value)}")
            return
        from ben_tf.predict import patches

        num_patches, faults, tags = patches.predict(
            saved_model=saved_model.value,
            output=output.value,
            input_paths=inputs.value,
            data_dir=dataset,
            split=split.value,
            batch_size=batch_size.value,
            stac_request=request,
            **beam_arguments(),
        )
        shown = faults[:_NUM_FAULTS_SHOWN]
        if len(faults) > len(shown):
            shown.append(f"{len(faults) - len(shown):,} more")
        for fault in shown:
            print(f"left out: {fault}", file=sys.stderr)
        print(
            f"Predicted {num_patches:,} patches, left out {len(faults):,}; "
            f"the labels are in {output.value}\n{origin.line(tags)}"
        )
        if request:
            print(f"The STAC item is {stac_lib.item_path(output.value)}")

    return main


if __name__ == "__main__":
    command_line.run(command, groups=_GROUPS)
