"""The facts of BigEarthNet-MM: bands, grids, units, statistics, classes, sizes.

Standard library only, and the single home of each fact: every other module
loops over these names, so band order, label order, units and split sizes
cannot diverge.

Sources: Sumbul et al., "BigEarthNet-MM: A Large Scale Multi-Modal Multi-Label
Benchmark Archive for Remote Sensing Image Classification and Retrieval", IEEE
GRSM 2021 (arXiv:2105.07921), called "the paper"; the authors' TensorFlow code
(bigearthnet-models-tf 1.1.1), called "the authors' code"; and the official
lists that the package bigearthnet-common ships.
"""

import dataclasses
import math
import types
import zlib
from collections.abc import Iterable
from collections.abc import Mapping

DATASET_NAME = "bigearthnet_mm"

# --- Sensors, grids and bands (paper, section II) -------------------------

PATCH_SIZE_M = 1200  # Every patch covers 1.2 km x 1.2 km.


@dataclasses.dataclass(frozen=True)
class Grid:
    """Bands that share a sensor and a pixel grid; one array of a record.

    Attributes:
      sensor: "S1" or "S2".
      bands: Band names, in the order of the array's last axis.
      dtype: NumPy name of the dtype, equal to that of the source GeoTIFFs.
      unit: What a value means.
      pixel_size_m: Ground sampling distance in metres.
    """

    sensor: str
    bands: tuple[str, ...]
    dtype: str
    unit: str
    pixel_size_m: int

    @property
    def size_px(self) -> int:
        """Pixels along one side of the patch."""
        return PATCH_SIZE_M // self.pixel_size_m

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, bands) of the array."""
        return (self.size_px, self.size_px, len(self.bands))


_DECIBEL = "backscatter in dB"
_REFLECTANCE = "surface reflectance x 10,000"

# Keys are the names of the features in a record and of a model's raw inputs.
GRIDS = types.MappingProxyType(
    {
        "s1": Grid("S1", ("VV", "VH"), "float32", _DECIBEL, 10),
        "s2_10m": Grid(
            "S2", ("B02", "B03", "B04", "B08"), "uint16", _REFLECTANCE, 10
        ),
        "s2_20m": Grid(
            "S2",
            ("B05", "B06", "B07", "B8A", "B11", "B12"),
            "uint16",
            _REFLECTANCE,
            20,
        ),
        "s2_60m": Grid("S2", ("B01", "B09"), "uint16", _REFLECTANCE, 60),
    }
)

# The reference map of a patch of v2.0: the class of each pixel.
REFERENCE_MAP = Grid(
    "maps", ("reference_map",), "uint16", "CORINE Land Cover code", 10
)

# Sentinel-2 band 10 (cirrus) carries no surface signal; Level-2A leaves it out.
S1_BANDS = GRIDS["s1"].bands
S2_BANDS = tuple(
    sorted(
        band
        for grid in GRIDS.values()
        if grid.sensor == "S2"
        for band in grid.bands
    )
)
BANDS = types.MappingProxyType({"S1": S1_BANDS, "S2": S2_BANDS})

MODALITIES = types.MappingProxyType(
    {"S1": ("S1",), "S2": ("S2",), "MM": ("S1", "S2")}
)


def grid_of_band(band: str) -> Grid:
    """Returns the grid that holds `band`."""
    for grid in GRIDS.values():
        if band in grid.bands:
            return grid
    raise ValueError(
        f"Unknown band. Expected one of {S1_BANDS + S2_BANDS}. "
        f"Received: {band!r}"
    )


# --- Statistics for standardising ------------------------------------------


@dataclasses.dataclass(frozen=True, repr=False)
class Statistics:
    """What brings the bands to mean 0 and standard deviation 1.

    Attributes:
      name: Whose they are.
      mean: Band -> mean; S2 in reflectance x 10,000, S1 in dB.
      std: Band -> standard deviation, in the same units.

    Raises:
      ValueError: A band is missing or unknown, a number is not finite, or a
        standard deviation is not positive.
    """

    name: str
    mean: Mapping[str, float] = dataclasses.field(hash=False)
    std: Mapping[str, float] = dataclasses.field(hash=False)

    def __post_init__(self) -> None:
        bands = set(S1_BANDS + S2_BANDS)
        if not bands == set(self.mean) == set(self.std):
            raise ValueError(f"expected a mean and a std of {sorted(bands)}")
        for band in bands:
            mean, std = self.mean[band], self.std[band]
            if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
                raise ValueError(
                    f"band {band} has mean {mean} and std {std}, expected "
                    "finite numbers and a std above 0"
                )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        """Tells apart those of one name, as of two builds."""
        values = [(x, self.mean[x], self.std[x]) for x in sorted(self.mean)]
        return f"{self.name!r} (CRC-32 {zlib.crc32(repr(values).encode()):08x})"


# Over the archive (authors' code, BAND_STATS).
PAPER_STATISTICS = Statistics(
    "paper",
    mean={
        "B01": 340.76769064,
        "B02": 429.9430203,
        "B03": 614.21682446,
        "B04": 590.23569706,
        "B05": 950.68368468,
        "B06": 1792.46290469,
        "B07": 2075.46795189,
        "B08": 2218.94553375,
        "B8A": 2266.46036911,
        "B09": 2246.0605464,
        "B11": 1594.42694882,
        "B12": 1009.32729131,
        "VV": -12.619993741972035,
        "VH": -19.29044597721542,
    },
    std={
        "B01": 554.81258967,
        "B02": 572.41639287,
        "B03": 582.87945694,
        "B04": 675.88746967,
        "B05": 729.89827633,
        "B06": 1096.01480586,
        "B07": 1273.45393088,
        "B08": 1365.45589904,
        "B8A": 1356.13789355,
        "B09": 1302.3292881,
        "B11": 1079.19066363,
        "B12": 818.86747235,
        "VV": 5.115911777546365,
        "VH": 5.464428464912864,
    },
)
# Over the training split of v2.0 (ConfigILM 0.7.1, BENv2_utils: those of
# "120_nearest", which the released weights of v2.0 expect).
_V2_STATISTICS = Statistics(
    "v2",
    mean={
        "B01": 361.0768,
        "B02": 438.3721,
        "B03": 614.0557,
        "B04": 588.4096,
        "B05": 942.8433,
        "B06": 1769.9316,
        "B07": 2049.5515,
        "B08": 2193.2920,
        "B8A": 2235.5566,
        "B09": 2241.4553,
        "B11": 1568.2268,
        "B12": 997.7325,
        "VV": -12.6439,
        "VH": -19.3526,
    },
    std={
        "B01": 575.0687,
        "B02": 607.0269,
        "B03": 603.2968,
        "B04": 684.5688,
        "B05": 738.4327,
        "B06": 1100.4561,
        "B07": 1275.8054,
        "B08": 1369.3717,
        "B8A": 1356.5441,
        "B09": 1316.3933,
        "B11": 1070.1613,
        "B12": 813.5276,
        "VV": 5.1335,
        "VH": 5.5905,
    },
)
STATISTICS = types.MappingProxyType(
    {"paper": PAPER_STATISTICS, "v2": _V2_STATISTICS}
)

# --- Classes (paper, section II; order of the authors' label_indices.json) -

# The 43 classes of CORINE Land Cover 2018 level 3 that occur, in CORINE order,
# each with the class of the 19-class nomenclature that it belongs to. None:
# the new nomenclature drops it.
CLASS_43_TO_19 = types.MappingProxyType(
    {
        "Continuous urban fabric": "Urban fabric",
        "Discontinuous urban fabric": "Urban fabric",
        "Industrial or commercial units": "Industrial or commercial units",
        "Road and rail networks and associated land": None,
        "Port areas": None,
        "Airports": None,
        "Mineral extraction sites": None,
        "Dump sites": None,
        "Construction sites": None,
        "Green urban areas": None,
        "Sport and leisure facilities": None,
        "Non-irrigated arable land": "Arable land",
        "Permanently irrigated land": "Arable land",
        "Rice fields": "Arable land",
        "Vineyards": "Permanent crops",
        "Fruit trees and berry plantations": "Permanent crops",
        "Olive groves": "Permanent crops",
        "Pastures": "Pastures",
        "Annual crops associated with permanent crops": "Permanent crops",
        "Complex cultivation patterns": "Complex cultivation patterns",
        "Land principally occupied by agriculture, with significant areas of "
        "natural vegetation": (
            "Land principally occupied by agriculture, with significant areas "
            "of natural vegetation"
        ),
        "Agro-forestry areas": "Agro-forestry areas",
        "Broad-leaved forest": "Broad-leaved forest",
        "Coniferous forest": "Coniferous forest",
        "Mixed forest": "Mixed forest",
        "Natural grassland": "Natural grassland and sparsely vegetated areas",
        "Moors and heathland": (
            "Moors, heathland and sclerophyllous vegetation"
        ),
        "Sclerophyllous vegetation": (
            "Moors, heathland and sclerophyllous vegetation"
        ),
        # Mind the slash here and the comma there.
        "Transitional woodland/shrub": "Transitional woodland, shrub",
        "Beaches, dunes, sands": "Beaches, dunes, sands",
        "Bare rock": None,
        "Sparsely vegetated areas": (
            "Natural grassland and sparsely vegetated areas"
        ),
        "Burnt areas": None,
        "Inland marshes": "Inland wetlands",
        "Peatbogs": "Inland wetlands",
        "Salt marshes": "Coastal wetlands",
        "Salines": "Coastal wetlands",
        "Intertidal flats": None,
        "Water courses": "Inland waters",
        "Water bodies": "Inland waters",
        "Coastal lagoons": "Marine waters",
        "Estuaries": "Marine waters",
        "Sea and ocean": "Marine waters",
    }
)

CLASSES_43 = tuple(CLASS_43_TO_19)
# Codes of CORINE Land Cover, level 3, in the same order. 335, glaciers and
# perpetual snow, is not among the classes of BigEarthNet.
CLC_CODES_43 = tuple(
    int(code)
    for code in (
        "111 112 121 122 123 124 131 132 133 141 142 211 212 213 221 222 223 "
        "231 241 242 243 244 311 312 313 321 322 323 324 331 332 333 334 411 "
        "412 421 422 423 511 512 521 522 523"
    ).split()
)
# Every class of level 3 -> its name, and its colour in the official legend of
# CORINE Land Cover (European Environment Agency, clc_legend.csv).
CLC_NAMES = types.MappingProxyType(
    dict(zip(CLC_CODES_43, CLASSES_43, strict=True))
    | {335: "Glaciers and perpetual snow"}
)
CLC_COLORS = types.MappingProxyType(
    {
        111: "#e6004d",
        112: "#ff0000",
        121: "#cc4df2",
        122: "#cc0000",
        123: "#e6cccc",
        124: "#e6cce6",
        131: "#a600cc",
        132: "#a64d00",
        133: "#ff4dff",
        141: "#ffa6ff",
        142: "#ffe6ff",
        211: "#ffffa8",
        212: "#ffff00",
        213: "#e6e600",
        221: "#e68000",
        222: "#f2a64d",
        223: "#e6a600",
        231: "#e6e64d",
        241: "#ffe6a6",
        242: "#ffe64d",
        243: "#e6cc4d",
        244: "#f2cca6",
        311: "#80ff00",
        312: "#00a600",
        313: "#4dff00",
        321: "#ccf24d",
        322: "#a6ff80",
        323: "#a6e64d",
        324: "#a6f200",
        331: "#e6e6e6",
        332: "#cccccc",
        333: "#ccffcc",
        334: "#000000",
        335: "#a6e6cc",
        411: "#a6a6ff",
        412: "#4d4dff",
        421: "#ccccff",
        422: "#e6e6ff",
        423: "#a6a6e6",
        511: "#00ccf2",
        512: "#80f2e6",
        521: "#00ffa6",
        522: "#a6ffe6",
        523: "#e6f2ff",
    }
)
# In reference maps: a pixel without a class, and one without data.
CLC_UNLABELLED = 999
CLC_NO_DATA = 0
CLC_CODES = frozenset((*CLC_NAMES, CLC_UNLABELLED, CLC_NO_DATA))
# Order of first appearance is the order of the authors' label_indices.json.
CLASSES_19 = tuple(
    dict.fromkeys(name for name in CLASS_43_TO_19.values() if name)
)
CLASSES = types.MappingProxyType({19: CLASSES_19, 43: CLASSES_43})

# Land cover as people expect it (towns red, fields yellow, forests green, water
# blue), moved apart by simulated annealing until any two differ by at least 11
# units of CAM02-UCS for normal sight, deuteranopia and protanopia.
_COLORS_19 = (
    "#c80b59",  # Urban fabric
    "#59305b",  # Industrial or commercial units
    "#ffcc00",  # Arable land
    "#ff8d00",  # Permanent crops
    "#f2f97f",  # Pastures
    "#854e1f",  # Complex cultivation patterns
    "#a6a68d",  # Land principally occupied by agriculture, ...
    "#8c9057",  # Agro-forestry areas
    "#5e8700",  # Broad-leaved forest
    "#33483c",  # Coniferous forest
    "#418983",  # Mixed forest
    "#c5ceb7",  # Natural grassland and sparsely vegetated areas
    "#df70bd",  # Moors, heathland and sclerophyllous vegetation
    "#6fc763",  # Transitional woodland, shrub
    "#e5f0ba",  # Beaches, dunes, sands
    "#7b00e1",  # Inland wetlands
    "#ebcfff",  # Coastal wetlands
    "#00bdfc",  # Inland waters
    "#0080ff",  # Marine waters
)
# Number of classes -> name of class -> its colour, in the order of `CLASSES`.
CLASS_COLORS = types.MappingProxyType(
    {
        19: types.MappingProxyType(
            dict(zip(CLASSES_19, _COLORS_19, strict=True))
        ),
        43: types.MappingProxyType(
            {
                name: CLC_COLORS[code]
                for name, code in zip(CLASSES_43, CLC_CODES_43, strict=True)
            }
        ),
    }
)

# Version of BigEarthNet -> numbers of classes that its patches have labels of.
NOMENCLATURES = types.MappingProxyType({"v1": (19, 43), "v2": (19,)})
# Stands where the name of a version does: somebody's own patches.
OWN = "own"
# Names of patches, as a regular expression for ASCII text.
PATCH_NAME = r"[0-9A-Za-z_][0-9A-Za-z_.-]*"
# Stands where the number of a country or season does, of own patches.
UNKNOWN = -1

THRESHOLD = 0.5  # A class is predicted at p >= 0.5 (authors' code).


def labels_43_to_19(labels: Iterable[str]) -> tuple[str, ...]:
    """Maps 43-class names to 19-class names, in the order of `CLASSES_19`.

    The result may be empty: 57 of the 590,326 patches have only classes that
    the new nomenclature drops.

    Raises:
      ValueError: A name is not one of `CLASSES_43`.
    """
    mapped = set()
    for label in labels:
        if label not in CLASS_43_TO_19:
            raise ValueError(
                "Unknown label. Expected one of the 43 CORINE class names in "
                f"ben_tf.bigearthnet.CLASSES_43. Received: {label!r}"
            )
        mapped.add(CLASS_43_TO_19[label])
    return tuple(name for name in CLASSES_19 if name in mapped)


def labels_19_of_codes(codes: Iterable[int]) -> tuple[str, ...]:
    """The labels of a patch with these codes in its map.

    A class is a label if any pixel has it, as in the one real patch of v2.0
    whose map and labels were at hand.

    Args:
      codes: Codes of CORINE Land Cover, level 3; 999 and 0 stand for no class.

    Returns:
      Names in the order of `CLASSES_19`; none for classes that the 19-class
      nomenclature drops.
    """
    found = set(codes)
    return labels_43_to_19(
        name
        for name, code in zip(CLASSES_43, CLC_CODES_43, strict=True)
        if code in found
    )


# --- Countries, seasons, splits (paper, sections II and III) ---------------

COUNTRIES = (
    "Austria",
    "Belgium",
    "Finland",
    "Ireland",
    "Kosovo",
    "Lithuania",
    "Luxembourg",
    "Portugal",
    "Serbia",
    "Switzerland",
)
# As the official list spells them; the paper says "autumn".
SEASONS = ("Winter", "Spring", "Summer", "Fall")

# First and last EPSG code of UTM on WGS 84, northern and southern zones.
UTM_EPSG = (32601, 32760)
# No easting or northing is farther from zero: half around the Earth.
MOST_UTM_METRES = 20_000_000

NUM_PATCHES = 590_326
NUM_SEASONAL_SNOW = 61_707
NUM_CLOUD_OR_SHADOW = 9_280
# Without any label of the 19-class nomenclature; 2 of them are also snow or
# cloud, which leaves 55.
NUM_WITHOUT_19_CLASS_LABEL = 57

# "excluded" holds what the paper leaves out, so that nothing is lost.
SPLIT_SIZES = types.MappingProxyType(
    {
        "train": 269_695,
        "validation": 123_723,
        "test": 125_866,
        "excluded": 71_042,
    }
)

# BigEarthNet v2.0, "reBEN" (Clasen et al. 2024, arXiv:2407.03653): a part of
# the patches of v1.0, processed anew, with labels of a later CORINE release in
# the 19-class nomenclature and other splits. "excluded": snow, clouds, shadows.
V2_SPLIT_SIZES = types.MappingProxyType(
    {
        "train": 237_871,
        "validation": 122_342,
        "test": 119_825,
        "excluded": 69_450,
    }
)
V2_NUM_PATCHES = 549_488
# (Version trained on, version scored on) -> split of the latter -> how many of
# its patches are training patches of the former. Counted by the official lists
# of v1.0 and the tables of v2.0; excluded patches are excluded in both.
SHARED_PATCHES = types.MappingProxyType(
    {
        ("v1", "v2"): {"train": 125_699, "validation": 62_089, "test": 60_886},
        ("v2", "v1"): {"train": 125_699, "validation": 55_640, "test": 56_532},
    }
)
