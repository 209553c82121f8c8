"""One product is found from wherever it is named; two are told apart.

Names and trees are those of Copernicus' products and of the mirror on AWS.
"""

import os
import pathlib
import shutil
import zipfile

import pytest

from ben_tf import bigearthnet
from ben_tf import errors
from ben_tf.scenes import s2_product
from tests import permissions

PIXEL_M = {
    band: grid.pixel_size_m
    for grid in bigearthnet.GRIDS.values()
    if grid.sensor == "S2"
    for band in grid.bands
}
SAFE = "S2A_MSIL2A_20230101T112351_N0509_R037_T29SNB_20230101T150000.SAFE"
IMAGE = "T29SNB_20230101T112351"
GRANULE = "GRANULE/L2A_T29SNB_A039307_20230101T112351"
XML = """<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD">
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<BOA_QUANTIFICATION_VALUE unit="none">{scale}</BOA_QUANTIFICATION_VALUE>
{offsets}</n1:Level-2A_User_Product>"""


def metadata(offset=-1000, baseline="05.09", scale=10000) -> str:
    offsets = "".join(
        f'<BOA_ADD_OFFSET band_id="{n}">\n {offset} </BOA_ADD_OFFSET>'
        for n in range(13 if offset is not None else 0)
    )
    return XML.format(baseline=baseline, scale=scale, offsets=offsets)


def touch(path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def write_safe(folder: pathlib.Path, image=IMAGE) -> pathlib.Path:
    """The files of a product, without pixels; every band at each resolution."""
    images = folder / GRANULE / "IMG_DATA"
    for band, metres in PIXEL_M.items():
        for resolution in (10, 20, 60):
            if resolution >= metres:
                touch(
                    images
                    / f"R{resolution}m"
                    / f"{image}_{band}_{resolution}m.jp2"
                )
    for name in ("TCI", "AOT", "WVP"):
        touch(images / "R10m" / f"{image}_{name}_10m.jp2")
    for band in PIXEL_M:
        touch(folder / GRANULE / "QI_DATA" / f"MSK_DETFOO_{band}.jp2")
        touch(folder / GRANULE / "QI_DATA" / f"{image}_{band}.jp2")
    touch(folder / GRANULE / "MTD_TL.xml")
    touch(folder / f"{folder.stem}-ql.jpg")
    touch(folder / "manifest.safe")
    (folder / "MTD_MSIL2A.xml").write_text(metadata())
    return folder


@pytest.fixture
def safe(tmp_path) -> pathlib.Path:
    return write_safe(tmp_path / "downloads" / SAFE)


def expected_names(safe) -> dict[str, str]:
    images = safe / GRANULE / "IMG_DATA"
    return {
        band: str(images / f"R{metres}m" / f"{IMAGE}_{band}_{metres}m.jp2")
        for band, metres in PIXEL_M.items()
    }


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "..",
        "GRANULE",
        GRANULE,
        f"{GRANULE}/IMG_DATA",
        f"{GRANULE}/IMG_DATA/R10m",
        "MTD_MSIL2A.xml",
        "manifest.safe",
    ],
)
def test_a_product_is_found_from_everywhere(safe, inside):
    product = s2_product.find(safe / inside, PIXEL_M)
    resolved = {
        band: str(pathlib.Path(name).resolve())
        for band, name in product.bands.items()
    }
    assert resolved == expected_names(safe)
    assert product.add == dict.fromkeys([*PIXEL_M, "B10"], -1000)


def test_a_folder_that_may_not_be_read(safe):
    folder = next(safe.rglob("R10m"))
    with (
        permissions.denied(folder),
        pytest.raises(PermissionError, match=str(folder)),
    ):
        s2_product.find(safe, PIXEL_M)


def test_from_the_current_folder(safe, monkeypatch):
    monkeypatch.chdir(safe / GRANULE / "IMG_DATA")
    assert s2_product.find(".", PIXEL_M).bands == expected_names(safe)


def test_unzipped_into_itself(safe):
    inner = safe / safe.name
    inner.mkdir()
    for path in list(safe.iterdir()):
        if path != inner:
            shutil.move(path, inner)
    assert s2_product.find(safe, PIXEL_M).bands == expected_names(inner)


def test_what_systems_put_beside_files_is_passed_over(safe):
    for path in list(safe.rglob("*.*")):
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
            touch(safe.parent / "__MACOSX" / f"._{path.name}")
            touch(safe.parent / ".Trash" / path.name)
    found = s2_product.find(safe.parent, PIXEL_M)
    assert found.bands == expected_names(safe)


def test_a_zip_file(safe, tmp_path):
    path = tmp_path / "x.SAFE.zip"
    with zipfile.ZipFile(path, "w") as file:
        for member in safe.rglob("*"):
            file.write(member, member.relative_to(safe.parent))
        # A hostile name leads nowhere.
        file.writestr(f"../../{IMAGE}_B02_10m.jp2", "x")
        file.writestr(f"/{IMAGE}_B02_10m.jp2", "x")
    product = s2_product.find(path, PIXEL_M)
    assert product.bands["B02"] == (
        f"/vsizip/{{{path}}}/{SAFE}/{GRANULE}/IMG_DATA/R10m/{IMAGE}_B02_10m.jp2"
    )
    assert product.add["B02"] == -1000


@pytest.mark.parametrize("damage", ["content", "encrypted"])
def test_a_damaged_zip_file(tmp_path, damage):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        for band in PIXEL_M:
            file.writestr(f"X/{IMAGE}_{band}.jp2", "")
        file.writestr("X/MTD_MSIL2A.xml", metadata())
    data = bytearray(path.read_bytes())
    if damage == "content":
        data[data.index(b"<?xml") + 9] ^= 1
    else:
        # The flag in the list of files and before the file itself.
        data[data.rindex(b"PK\1\2") + 8] |= 1
        data[data.rindex(b"PK\3\4") + 6] |= 1
    path.write_bytes(data)
    with pytest.raises(errors.UserError, match=r"MTD_MSIL2A\.xml in .* cannot"):
        s2_product.find(path, PIXEL_M)


def test_resolutions_in_the_names_of_folders(tmp_path):
    """Sentinel-2 on AWS: B01 at 20 and 60 m, a preview, no date in names."""
    for band, metres in PIXEL_M.items():
        touch(tmp_path / f"R{metres}m" / f"{band}.jp2")
        touch(tmp_path / "preview" / f"{band}.jp2")
        touch(tmp_path / "qi" / f"MSK_DETFOO_{band}.jp2")
    touch(tmp_path / "R20m" / "B01.jp2")
    product = s2_product.find(tmp_path, PIXEL_M)
    assert product.bands["B01"] == str(tmp_path / "R60m" / "B01.jp2")
    assert not product.add


def test_a_file_that_says_its_resolution_comes_first(tmp_path):
    for name in ("B02.tif", "B02_10m.tif", "B02_20m.tif"):
        touch(tmp_path / name)
    product = s2_product.find(tmp_path, {"B02": 10})
    assert product.bands == {"B02": str(tmp_path / "B02_10m.tif")}


def test_a_patch_of_bigearthnet_is_an_image(tmp_path):
    name = "S2A_MSIL2A_20170613T101031_74_45"
    for band in PIXEL_M:
        touch(tmp_path / name / f"{name}_{band}.tif")
    product = s2_product.find(tmp_path / name, PIXEL_M)
    assert product.bands["B8A"].endswith(f"{name}_B8A.tif")
    assert not product.add


def fails(path, match, pixel_m=PIXEL_M, **options) -> None:
    with pytest.raises(errors.UserError, match=match):
        s2_product.find(path, pixel_m, **options)


def test_two_products_are_refused_by_name(safe):
    other = write_safe(safe.with_name(SAFE.replace("20230101", "20230111")))
    for path in other.rglob("*_B03_*"):
        path.unlink()
    fails(safe.parent, f"several Sentinel-2 images: {SAFE}/MTD.*, S2A_.*0111T")
    s2_product.find(safe, PIXEL_M)


@pytest.mark.parametrize(
    "names",
    [
        ("T29SNB_20180101T112351_B02.tif", "T29SNB_20180111T112351_B03.tif"),
        ("2018/B02.tif", "2019/B03.tif"),
        ("B02.tif", "T29SNB_20180111T112351_B03.tif"),
        ("a/R10m/B02.tif", "b/R10m/B03.tif"),
    ],
)
def test_two_dates_are_refused_by_name(tmp_path, names):
    for name in names:
        touch(tmp_path / name)
    fails(tmp_path, f"{names[0]}, {names[1]}", {"B02": 10, "B03": 10})


def test_bands_next_to_a_product_are_another_image(safe):
    touch(safe / "B02.tif")
    fails(safe, r"several Sentinel-2 images: B02\.tif, GRANULE")


def test_two_files_of_a_band(tmp_path):
    for name in ("B02.tif", "B02.jp2"):
        touch(tmp_path / name)
    fails(tmp_path, r"several files for B02: B02\.jp2, B02\.tif", {"B02": 10})


@pytest.mark.parametrize("with_metadata", [True, False])
def test_level_1_is_refused(tmp_path, with_metadata):
    name = SAFE.replace("L2A", "L1C")
    images = tmp_path / name / "GRANULE" / "L1C_T29SNB_A0_2" / "IMG_DATA"
    for band in PIXEL_M:
        touch(images / f"{IMAGE}_{band}.jp2")
    if with_metadata:
        (tmp_path / name / "MTD_MSIL1C.xml").write_text(
            '<x><RADIO_ADD_OFFSET band_id="1">-1000</RADIO_ADD_OFFSET></x>'
        )
    for path in (tmp_path, tmp_path / name, images):
        fails(path, "is of Level 1.*Expected Level-2A", offset=0)


def test_missing_bands_and_those_of_another_resolution(safe):
    for path in safe.rglob("*_B8A_20m.jp2"):
        path.unlink()
    fails(safe, r"lacks the bands B8A\. It has only .*_B8A_60m\.jp2")
    for path in safe.rglob("*_B8A_60m.jp2"):
        path.unlink()
    fails(
        safe, r"lacks the bands B8A\. Expected a file for each of B8A at 20 m"
    )
    fails(safe / "DATASTRIP", "There is no")


def test_a_zip_file_that_was_cut_off(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("B02.tif", "x" * 1000)
    os.truncate(tmp_path / "x.zip", 900)
    fails(tmp_path / "x.zip", r"x\.zip is no whole zip file")


def test_one_file_is_no_product(tmp_path):
    touch(tmp_path / "B02.tif")
    fails(tmp_path / "B02.tif", "is one file. Expected")
    fails(tmp_path, "lacks the bands B01, B03")


@pytest.mark.parametrize(
    ("folder", "name", "asks"),
    [
        # As on AWS, where neither names nor metadata say so.
        ("29/S/NB/2023/1/1/0", "R10m/B02.jp2", True),
        ("29/S/NB/2021/12/31/0", "R10m/B02.jp2", False),
        (SAFE, "B02.tif", True),
        (SAFE.replace("2023", "2019"), "B02.tif", False),
        # The file's own date comes first.
        (SAFE, "T29SNB_20190101T112351_B02.tif", False),
        ("x", "T29SNB_20231399T112351_B02.tif", False),
        ("x", "B02.tif", False),
    ],
)
def test_dates_of_files_and_folders_tell_what_may_be_shifted(
    tmp_path, folder, name, asks
):
    touch(tmp_path / folder / name)
    if asks:
        fails(tmp_path / folder, "may be shifted by 1,000", {"B02": 10})
    else:
        assert not s2_product.find(tmp_path / folder, {"B02": 10}).add


def test_products_that_may_be_shifted_ask(tmp_path):
    for band in PIXEL_M:
        touch(tmp_path / f"{IMAGE}_{band}.tif")
    fails(tmp_path, "may be shifted by 1,000.*`s2_offset=-1000`")
    for offset in (0, -1000):
        product = s2_product.find(tmp_path, PIXEL_M, offset=offset)
        assert product.add == dict.fromkeys(PIXEL_M, offset)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<x>", "is damaged: no element found"),
        ("", "is damaged"),
        (metadata(offset=99_999), "is damaged: an offset of 99999"),
        (metadata(offset="x"), "is damaged: invalid literal"),
        (metadata(offset=None), "baseline 05.09 and lacks the offsets"),
        (metadata(scale=1000), "has reflectance x 1000. Expected x 10,000"),
        (metadata().replace('"12"', '"13"'), "is damaged: list index"),
        (metadata().replace("band_id", "id"), "is damaged: 'band_id'"),
        (
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
            "defines entities",
        ),
    ],
)
def test_metadata_that_cannot_be_used(safe, content, reason):
    (safe / "MTD_MSIL2A.xml").write_text(content)
    fails(safe, rf"MTD_MSIL2A\.xml .*{reason}|MTD_MSIL2A\.xml {reason}")


@pytest.mark.parametrize(("offset", "fits"), [(-1000, True), (0, False)])
def test_an_offset_does_not_override_the_metadata(safe, offset, fits):
    if fits:
        assert s2_product.find(safe, PIXEL_M, offset=offset).add["B02"] == -1000
    else:
        fails(safe, r"says \[-1000\], not `s2_offset=0`", offset=offset)


def test_older_metadata_have_no_offset(safe):
    text = metadata(offset=None, baseline="02.05")
    (safe / "MTD_MSIL2A.xml").write_text(text)
    assert not s2_product.find(safe, PIXEL_M).add
    assert not s2_product.find(safe, PIXEL_M, offset=0).add
    fails(safe, "says no offset, not `s2_offset=-1000`", offset=-1000)
