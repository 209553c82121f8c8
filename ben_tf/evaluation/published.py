"""Whose figures can stand next to ours: the paper's, or those of v2.0's models.

Standard library only.
"""

import dataclasses
import types
from collections.abc import Mapping
from collections.abc import Sequence

from ben_tf import bigearthnet
from ben_tf.evaluation import model_cards
from ben_tf.evaluation import paper


@dataclasses.dataclass(frozen=True)
class Entry:
    """A published model.

    Attributes:
      model: Its architecture.
      modality: "S1", "S2" or "MM".
      figures: Metric -> value.
    """

    model: str
    modality: str
    figures: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Published:
    """Published scores, and the protocol by which they were found.

    Attributes:
      whose: Whose they are, as a sentence says it: "the paper".
      label: The same in front of a figure: "paper".
      source: Where they stand.
      tables: Which tables of the source.
      config: Config of the dataset.
      split: Split of it.
      num_samples: Patches of the split.
      num_classes: Classes of the nomenclature.
      metrics: The metrics that every entry has, in the order of the table.
      entries: Name -> published model; the first of each modality is the one
        that a run with another network is held against.
      f2_of_class: Class -> F2; empty where none is published.
      f2_model: Whose F2 these are.
      absent: What has not been published, in a sentence.
    """

    whose: str
    label: str
    source: str
    tables: str
    config: str
    split: str
    num_samples: int
    num_classes: int
    metrics: Sequence[str]
    entries: Mapping[str, Entry]
    f2_of_class: Mapping[str, float]
    f2_model: str
    absent: str

    @property
    def modalities(self) -> list[str]:
        """Sensors for which there is a published model."""
        return [*dict.fromkeys(x.modality for x in self.entries.values())]

    def entry_for(self, model: str, modality: str) -> str:
        """The published model to hold a run against.

        The one of the same network and sensors; else the first one of the same
        sensors; else the first one of the same network, or of all; "" where
        none is published.
        """
        # The layout of timm, which publications do not name apart.
        model = model.removeprefix("timm_")
        if not self.entries:
            return ""

        def fit(name: str) -> tuple[bool, bool]:
            entry = self.entries[name]
            return entry.modality == modality, entry.model == model

        return max(self.entries, key=fit)  # The first among equals.


# By the value of --compare_to.
SOURCES: Mapping[str, Published] = types.MappingProxyType(
    {
        "paper": Published(
            whose="the paper",
            label="paper",
            source=paper.SOURCE,
            tables="Tables I and II",
            config=paper.CONFIG,
            split=paper.SPLIT,
            num_samples=bigearthnet.SPLIT_SIZES[paper.SPLIT],
            num_classes=paper.NUM_CLASSES,
            metrics=paper.TABLE_2_METRICS,
            # ResNet50 first, for which there is Table I as well.
            entries={
                model: Entry(model, paper.MODALITY, paper.figures(model))
                for model in sorted(
                    paper.TABLE_2,
                    key=lambda model: model != paper.TABLE_1_MODEL,
                )
            },
            f2_of_class=paper.TABLE_1_FROM_SCRATCH,
            f2_model=paper.TABLE_1_MODEL,
            absent=paper.NOT_IN_THE_PAPER,
        ),
        "v2": Published(
            whose="the published models of v2.0",
            label="card",
            source=model_cards.SOURCE,
            tables="test scores",
            config=model_cards.CONFIG,
            split=model_cards.SPLIT,
            num_samples=bigearthnet.V2_SPLIT_SIZES[model_cards.SPLIT],
            num_classes=model_cards.NUM_CLASSES,
            metrics=model_cards.METRICS,
            entries={
                card: Entry(*model_cards.model_and_sensors(card), figures)
                for card, figures in model_cards.CARDS.items()
            },
            f2_of_class={},
            f2_model="",
            absent=model_cards.NOT_ON_THE_CARDS,
        ),
    }
)


# Of own data nobody has published anything.
NOTHING = Published(
    whose="published models",
    label="",
    source="",
    tables="",
    config=bigearthnet.OWN,
    split="",
    num_samples=0,
    num_classes=0,
    metrics=(),
    entries={},
    f2_of_class={},
    f2_model="",
    absent="",
)


def for_dataset(name: str) -> str:
    """The source by the splits of a dataset: the key of `SOURCES`.

    Args:
      name: Full name of the dataset, such as "bigearthnet_mm/v1/1.0.0".
    """
    config = config_of(name)
    return next(
        (key for key, x in SOURCES.items() if x.config == config), "paper"
    )


def config_of(dataset_name: str) -> str:
    """The config in the full name of a dataset; "" where it has none."""
    return "/".join(dataset_name.split("/")[1:2])
