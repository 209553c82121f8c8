"""Designs the signal of the synthetic patches: which class shows where.

Every class changes the pixels of the regions it covers, and only in the bands
named here, so the outcome of an ablation is known before it is run:

| shows in                        | classes                                  |
|---------------------------------|------------------------------------------|
| both sensors                    | urban fabric, inland and marine waters,  |
|                                 | transitional woodland                    |
| Sentinel-2, 10 m bands          | arable land, pastures, broad-leaved and  |
|                                 | coniferous forest, natural grassland     |
| Sentinel-2, 20 m bands only     | complex cultivation, mixed forest, moors |
| Sentinel-2, 60 m bands only     | beaches                                  |
| Sentinel-2, 10 m texture only   | permanent crops (rows), land principally |
|                                 | occupied by agriculture (blocks)         |
| Sentinel-1 only                 | agro-forestry, inland wetlands, coastal  |
|                                 | wetlands                                 |
| Sentinel-1 texture only         | industrial units (point scatterers)      |

Elsewhere such a region looks like unlabelled background, of which every patch
has some. A model without a sensor can therefore know the classes that only this
sensor shows by nothing but the company they keep. None of this resembles real
land cover: scores on these pixels say nothing about BigEarthNet.
"""

import dataclasses
import types
from collections.abc import Mapping

from ben_tf import bigearthnet


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a 19-class label does to the pixels that it covers.

    Attributes:
      shift: Band -> change of the mean, in standard deviations of the archive.
      rows: Contrast of parallel rows in the 10 m bands; 1 is full contrast.
      blocks: Contrast of small blocks in the 10 m bands.
      points_db: Strength of bright points in VV and VH, in dB.
    """

    shift: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rows: float = 0.0
    blocks: float = 0.0
    points_db: float = 0.0


SIGNATURES = types.MappingProxyType(
    {
        # Both sensors.
        "Urban fabric": Signature(
            dict(B02=2.2, B03=2.2, B04=2.2, B08=-0.8, VV=2.4, VH=0.6)
        ),
        "Inland waters": Signature(
            dict(B04=-0.8, B08=-2.2, B11=-1.8, B12=-1.5, VV=-2.4, VH=-1.8)
        ),
        "Marine waters": Signature(
            dict(B02=1.5, B08=-2.2, B11=-2.1, B12=-1.7, VV=0.3, VH=-3.0)
        ),
        "Transitional woodland, shrub": Signature(
            dict(B03=-0.9, B05=1.4, B08=0.8, VV=0.6, VH=2.4)
        ),
        # Sentinel-2, 10 m bands (with a faint echo in the 20 m bands).
        "Arable land": Signature(dict(B02=0.6, B04=2.7, B08=0.9, B11=0.8)),
        "Pastures": Signature(dict(B03=2.4, B04=-0.4, B08=2.2, B07=0.8)),
        "Broad-leaved forest": Signature(
            dict(B02=-0.9, B03=-0.3, B08=2.7, B8A=0.8)
        ),
        "Coniferous forest": Signature(
            dict(B02=-1.0, B03=-1.5, B04=-1.2, B08=-0.8, B11=-0.6)
        ),
        "Natural grassland and sparsely vegetated areas": Signature(
            dict(B02=2.4, B03=0.3, B04=-0.6, B08=0.4, B12=0.6)
        ),
        # Sentinel-2, 20 m bands only.
        "Complex cultivation patterns": Signature(dict(B05=2.5, B06=-1.8)),
        "Mixed forest": Signature(dict(B06=2.1, B07=2.2, B8A=2.0)),
        "Moors, heathland and sclerophyllous vegetation": Signature(
            dict(B11=2.4, B12=2.4)
        ),
        # Sentinel-2, 60 m bands only.
        "Beaches, dunes, sands": Signature(dict(B01=3.3, B09=-2.1)),
        # Sentinel-2, texture only: the mean stays.
        "Permanent crops": Signature(rows=0.8),
        "Land principally occupied by agriculture, with significant areas of "
        "natural vegetation": Signature(blocks=0.8),
        # Sentinel-1 only.
        "Agro-forestry areas": Signature(dict(VV=-2.2, VH=1.5)),
        "Inland wetlands": Signature(dict(VV=2.2, VH=-1.8)),
        "Coastal wetlands": Signature(dict(VV=-0.6, VH=-2.2)),
        "Industrial or commercial units": Signature(points_db=24.0),
    }
)

# Sub-classes of one 19-class label differ in strength, so that 43 classes can
# be told apart, with more errors than 19.
SUBCLASS_STRENGTH = (1.0, 1.3, 0.75, 1.15)

# The 11 classes without a 19-class label share one weak shift.
DROPPED = Signature(dict(B02=0.5, B03=0.5, B04=0.5, B05=0.5, B11=0.5, VV=0.4))


def sensors_of(class_19: str) -> frozenset[str]:
    """Returns the sensors that show a class: "S1", "S2" or both."""
    signature = SIGNATURES[class_19]
    sensors = {
        bigearthnet.grid_of_band(band).sensor for band in signature.shift
    }
    if signature.rows or signature.blocks:
        sensors.add("S2")
    if signature.points_db:
        sensors.add("S1")
    return frozenset(sensors)


def signature_of(class_43: str) -> tuple[Signature, float]:
    """Returns the signature of a 43-class label and its strength."""
    parent = bigearthnet.CLASS_43_TO_19[class_43]
    if parent is None:
        return DROPPED, 1.0
    siblings = [
        name
        for name, mapped in bigearthnet.CLASS_43_TO_19.items()
        if mapped == parent
    ]
    return SIGNATURES[parent], SUBCLASS_STRENGTH[siblings.index(class_43)]


# Landscapes, each with 43-class labels and their probabilities: labels that
# occur together in nature do so here. Frequencies are far more even than in
# the archive, where beaches cover 0.3 % of the patches, so that a sample of
# some hundred patches holds enough of every class.
LANDSCAPES = types.MappingProxyType(
    {
        "farmland": {
            "Non-irrigated arable land": 0.6,
            "Permanently irrigated land": 0.15,
            "Pastures": 0.45,
            "Complex cultivation patterns": 0.45,
            "Land principally occupied by agriculture, with significant areas "
            "of natural vegetation": 0.4,
            "Discontinuous urban fabric": 0.3,
            "Broad-leaved forest": 0.2,
            "Water courses": 0.15,
        },
        "boreal forest": {
            "Coniferous forest": 0.65,
            "Mixed forest": 0.55,
            "Transitional woodland/shrub": 0.45,
            "Peatbogs": 0.4,
            "Water bodies": 0.3,
            "Broad-leaved forest": 0.2,
            "Bare rock": 0.05,
        },
        "mediterranean": {
            "Vineyards": 0.25,
            "Olive groves": 0.2,
            "Fruit trees and berry plantations": 0.1,
            "Annual crops associated with permanent crops": 0.06,
            "Rice fields": 0.1,
            "Agro-forestry areas": 0.55,
            "Sclerophyllous vegetation": 0.4,
            "Land principally occupied by agriculture, with significant areas "
            "of natural vegetation": 0.35,
            "Natural grassland": 0.3,
            "Burnt areas": 0.04,
        },
        "coast": {
            "Sea and ocean": 0.45,
            "Coastal lagoons": 0.12,
            "Estuaries": 0.1,
            "Beaches, dunes, sands": 0.6,
            "Salt marshes": 0.35,
            "Salines": 0.15,
            "Intertidal flats": 0.08,
            "Moors and heathland": 0.25,
            "Port areas": 0.05,
            "Discontinuous urban fabric": 0.2,
        },
        "town": {
            "Continuous urban fabric": 0.3,
            "Discontinuous urban fabric": 0.45,
            "Industrial or commercial units": 0.65,
            "Road and rail networks and associated land": 0.1,
            "Green urban areas": 0.1,
            "Sport and leisure facilities": 0.08,
            "Construction sites": 0.04,
            "Airports": 0.03,
            "Dump sites": 0.03,
            "Water courses": 0.3,
            "Non-irrigated arable land": 0.3,
            "Complex cultivation patterns": 0.3,
            "Fruit trees and berry plantations": 0.2,
        },
        "upland": {
            "Moors and heathland": 0.45,
            "Natural grassland": 0.3,
            "Sparsely vegetated areas": 0.2,
            "Pastures": 0.4,
            "Inland marshes": 0.3,
            "Broad-leaved forest": 0.35,
            "Mixed forest": 0.25,
            "Transitional woodland/shrub": 0.3,
            "Bare rock": 0.08,
            "Mineral extraction sites": 0.05,
        },
    }
)
