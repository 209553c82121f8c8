"""The result tables of the paper as data.

Source: Sumbul et al., "BigEarthNet-MM: A Large Scale Multi-Modal Multi-Label
Benchmark Archive for Remote Sensing Image Classification and Retrieval",
arXiv:2105.07921v2 (17 June 2021), Tables I and II. All figures: 19 classes,
Sentinel-1 and Sentinel-2 stacked, the 125,866 pairs of the test split. The
paper prints percentages; here they are fractions, as everywhere else.

Standard library only.
"""

import types

from ben_tf import bigearthnet

SOURCE = "Sumbul et al. 2021, arXiv:2105.07921v2"
MODALITY = "MM"
NUM_CLASSES = 19
SPLIT = "test"
CONFIG = "v1"  # Of the dataset.
TABLE_2_METRICS = ("hamming_loss", "one_error", "sample_recall", "sample_f2")

# Table II: averages over samples, models trained from scratch.
TABLE_2 = types.MappingProxyType(
    {
        model: types.MappingProxyType(
            dict(zip(TABLE_2_METRICS, row, strict=True))
        )
        for model, row in {
            "vgg16": (0.078, 0.0735, 0.7697, 0.7618),
            "vgg19": (0.080, 0.0812, 0.7617, 0.7535),
            "resnet50": (0.074, 0.0593, 0.8005, 0.7873),
            "resnet101": (0.074, 0.0646, 0.7885, 0.7788),
            "resnet152": (0.073, 0.0642, 0.7813, 0.7746),
        }.items()
    }
)

# Table I: F2 of each class, ResNet50, in the order of the classes; weights from
# ImageNet with the last layers fine-tuned, and trained from scratch.
TABLE_1_MODEL = "resnet50"
_TABLE_1 = (
    (0.5627, 0.7199),  # Urban fabric
    (0.3098, 0.4321),  # Industrial or commercial units
    (0.8005, 0.8362),  # Arable land
    (0.0432, 0.5552),  # Permanent crops
    (0.5098, 0.7477),  # Pastures
    (0.3629, 0.6203),  # Complex cultivation patterns
    (0.3036, 0.6063),  # Land principally occupied by agriculture, ...
    (0.0213, 0.7187),  # Agro-forestry areas
    (0.4283, 0.7539),  # Broad-leaved forest
    (0.7547, 0.8632),  # Coniferous forest
    (0.7219, 0.8131),  # Mixed forest
    (0.1411, 0.4388),  # Natural grassland and sparsely vegetated areas
    (0.0529, 0.5991),  # Moors, heathland and sclerophyllous vegetation
    (0.4123, 0.6421),  # Transitional woodland, shrub
    (0.4367, 0.6339),  # Beaches, dunes, sands
    (0.0820, 0.5781),  # Inland wetlands
    (0.0479, 0.4223),  # Coastal wetlands
    (0.6323, 0.8210),  # Inland waters
    (0.9399, 0.9720),  # Marine waters
)
TABLE_1_IMAGENET, TABLE_1_FROM_SCRATCH = (
    types.MappingProxyType(
        dict(zip(bigearthnet.CLASSES_19, column, strict=True))
    )
    for column in zip(*_TABLE_1, strict=True)
)
# The row "Average" of Table I.
TABLE_1_AVERAGE_IMAGENET = 0.3981
TABLE_1_AVERAGE_FROM_SCRATCH = 0.6723

NOT_IN_THE_PAPER = (
    "The paper has no figures for Sentinel-1 or Sentinel-2 alone, for the "
    "K-Branch CNN or for the 43 classes; no precision, F1, accuracy, "
    "coverage, ranking loss, average precision or micro averages; no table of "
    "retrieval scores; and no intervals."
)


def figures(model: str) -> dict[str, float]:
    """What the paper says of a model of Table II: metric -> value."""
    values = dict(TABLE_2[model])
    if model == TABLE_1_MODEL:
        values["macro_f2"] = TABLE_1_AVERAGE_FROM_SCRATCH
    return values
