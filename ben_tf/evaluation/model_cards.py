"""The published scores of BigEarthNet v2.0 as data.

Source: the cards of the models that the authors of v2.0 (Clasen et al. 2024,
"reBEN", arXiv:2407.03653) and two others put on Hugging Face. All figures: 19
classes, the 119,825 pairs of the test split of v2.0. The scores of the paper on
v2.0 itself and the cards of ResNet101 were not at hand.

The figures are those of torchmetrics, in whose place ours can stand: average
precision is the area under the precision-recall curve in steps, F1 counts a
class as predicted from a probability of 0.5 on (torchmetrics: above it); macro
is the mean over classes, micro pools all pairs of patch and class. Precision is
on the cards as well, but one of them repeats average precision in its place.

Standard library only.
"""

import types

SOURCE = (
    "cards of the published models of BigEarthNet v2.0 (Clasen et al. 2024, "
    "arXiv:2407.03653)"
)
NUM_CLASSES = 19
SPLIT = "test"
CONFIG = "v2"  # Of the dataset.
METRICS = (
    "macro_average_precision",
    "micro_average_precision",
    "macro_f1",
    "micro_f1",
)

# Card, with who put it there if not the authors -> figures. The name ends in
# the sensors, and in the version that fixed the order of its bands.
CARDS = types.MappingProxyType(
    {
        card: types.MappingProxyType(dict(zip(METRICS, row, strict=True)))
        for card, row in {
            "resnet50-all v0.2.0": (0.703272, 0.860669, 0.644179, 0.766649),
            # A third party's upload; the one above is of the authors.
            "resnet50-all v0.2.0 (mohds52)": (
                *(0.710602, 0.859335),
                *(0.656929, 0.764038),
            ),
            "resnet50-s1 v0.2.0": (0.628376, 0.800728, 0.576080, 0.701954),
            "mobilevit_s-all v0.1.1": (0.703328, 0.863635, 0.637516, 0.763493),
            "convnextv2_base-all v0.1.1": (
                *(0.692033, 0.857302),
                *(0.626945, 0.759608),
            ),
            "rdnet_base-all v0.2.0 (hackelle)": (
                *(0.688802, 0.859499),
                *(0.619031, 0.758917),
            ),
            "rdnet_base-s2 v0.2.0 (hackelle)": (
                *(0.688747, 0.853909),
                *(0.623068, 0.754790),
            ),
            "vit_base_patch8_224-all v0.2.0": (
                *(0.667642, 0.842169),
                *(0.603248, 0.745763),
            ),
        }.items()
    }
)

NOT_ON_THE_CARDS = (
    "The cards of v2.0 have no scores of single classes, no averages over "
    "samples and no intervals; those of ResNet101 were not at hand."
)


def model_and_sensors(card: str) -> tuple[str, str]:
    """The network of a card and its sensors: "S1", "S2" or "MM"."""
    model, _, sensors = card.split()[0].rpartition("-")
    return model, {"all": "MM", "s1": "S1", "s2": "S2"}[sensors]
