"""The flags that say which patches may be hits."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from ben_tf import bigearthnet
from ben_tf import errors

if TYPE_CHECKING:
    from ben_tf.retrieval import where

# --help lists them with the command that asks for them.
flags.disclaim_key_flags()


def define() -> "Callable[[], where.Where]":
    """Defines the flags; returns what reads their values."""
    # Names of classes hold commas.
    labels_any = flags.DEFINE_multi_string(
        "labels_any",
        [],
        "Only hits with this label or another one given so.",
    )
    flags.DEFINE_alias("labels", "labels_any")
    labels_all = flags.DEFINE_multi_string(
        "labels_all", [], "Only hits with this label and all others given so."
    )
    labels_none = flags.DEFINE_multi_string(
        "labels_none", [], "Only hits without this label."
    )
    countries = flags.DEFINE_list(
        "countries", [], f"Only hits in {', '.join(bigearthnet.COUNTRIES)}."
    )
    seasons = flags.DEFINE_list(
        "seasons", [], f"Only hits of {', '.join(bigearthnet.SEASONS)}."
    )
    dates = flags.DEFINE_string(
        "dates",
        None,
        "Only hits of these days (Sentinel-2, UTC), both included: "
        "2017-06-01/2017-08-31; .. for an open end.",
    )
    bbox = flags.DEFINE_string(
        "bbox",
        None,
        "Only hits whose centre lies in west,south,east,north, in degrees; "
        "write --bbox=-9.5,38,-8,39.",
    )
    splits = flags.DEFINE_list(
        "splits", [], "Only hits of these splits, of those that were indexed."
    )

    def make() -> "where.Where":
        # It takes NumPy and PROJ, which --help should not wait for.
        from ben_tf.retrieval import where as where_lib

        try:
            days = where_lib.parse_dates(dates.value or "../..")
        except ValueError as error:
            raise errors.UserError(
                "Expected days such as `dates=2017-06-01/2017-08-31`. "
                f"Received: `dates={dates.value}` ({error})."
            ) from error
        try:
            box = bbox.value and where_lib.parse_bbox(bbox.value)
        except ValueError as error:
            raise errors.UserError(
                "Expected degrees such as `bbox=-9.5,38,-8,39`. Received: "
                f"`bbox={bbox.value}`."
            ) from error
        return where_lib.Where(
            labels_any=labels_any.value,
            labels_all=labels_all.value,
            labels_none=labels_none.value,
            countries=countries.value,
            seasons=seasons.value,
            dates=days,
            bbox=box or None,
            splits=splits.value,
        )

    return make
