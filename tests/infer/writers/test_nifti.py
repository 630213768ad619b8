"""What is written of a NIfTI scan lies over it, and says nothing in words that it said."""

import gzip

import nibabel
import numpy as np
import pytest

from infer.readers import read
from infer.writers.nifti import encode_map, encode_mask
from tests.infer.test_batch import report, run

NAME = b"Kowalczyk"
KINDS = [nibabel.Nifti1Image, nibabel.Nifti2Image]
# Fields of letters that are no words: the format's own mark, and one letter of the days before it.
OF_THE_FORMAT = ("magic", "regular")


def words_in(header):
    """The names of all fields that hold letters."""
    names = header.template_dtype.names
    return [it for it in names if header[it].dtype.kind == "S" and it not in OF_THE_FORMAT]


def header_with_a_name(header):
    """The patient's name in every field that can hold it, and numbers that must stay."""
    for field in words_in(header):
        header[field] = NAME[: header[field].dtype.itemsize]
    header["intent_code"] = 3  # a correlation
    header["dim_info"], header["slice_code"] = 0b111001, 1
    header["slice_duration"], header["toffset"] = 0.5, 2
    header.set_xyzt_units("micron", "sec")
    for code in ("comment", "dicom", 40):
        header.extensions.append(nibabel.nifti1.Nifti1Extension(code, NAME * 3))
    return header


def scan_of(kind, path):
    rng = np.random.default_rng(0)
    voxels = rng.normal(20, 2, (26, 22, 7)).astype(np.float32)
    voxels[14:19, 6:11, 2] = 80
    angle = np.deg2rad(10)
    affine = np.diag([-1000.0, 1000, 3000, 1])
    affine[:2, :2] @= [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = kind(voxels, affine)
    image.set_sform(affine, code="talairach")
    image.set_qform(affine, code="scanner")
    header_with_a_name(image.header)
    path.parent.mkdir(exist_ok=True)
    nibabel.save(image, path)
    return path


@pytest.fixture
def ward(tmp_path):
    """A scan in each of the ways that NIfTI is stored."""
    folder = tmp_path / "ward"
    for version, kind in enumerate(KINDS, start=1):
        scan_of(kind, folder / f"one{version}.nii")
        scan_of(kind, folder / f"packed{version}.nii.gz")
    scan_of(nibabel.Nifti1Pair, folder / "pair1.img")
    scan_of(nibabel.Nifti2Pair, folder / "pair2.img")
    return folder


def unpacked(path):
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.endswith(".gz") else content


def test_the_scans_here_hold_the_name_in_each_field_and_in_their_extensions(ward):
    fields = {"data_type", "db_name", "descrip", "aux_file", "intent_name", "unused_str"}
    assert {field for kind in KINDS for field in words_in(kind.header_class())} == fields
    for path in ward.iterdir():
        if path.suffix != ".img":
            times = {"1": len(fields) - 1, "2": len(fields) - 2}[path.name.split(".")[0][-1]]
            assert unpacked(path).count(NAME) == times + 3 * 3, path


def test_nothing_that_is_written_or_printed_has_the_name(ward, tiny_model, tmp_path, capfd):
    out = tmp_path / "out"
    counts = run(ward, tiny_model, out, overlays="all", maps=True)
    assert counts.ok == counts.scans == 6
    printed = capfd.readouterr()
    written = {path: unpacked(path) for path in out.rglob("*") if path.is_file()}
    assert len([path for path in written if path.name.endswith(".nii.gz")]) == 12
    assert NAME.decode() not in printed.out + printed.err
    assert not [path for path, content in written.items() if NAME in content]


@pytest.mark.parametrize("folder", ["masks", "maps"])
def test_numbers_of_the_header_stay(ward, tiny_model, tmp_path, folder):
    out = tmp_path / "out"
    run(ward, tiny_model, out, maps=True)
    for scan, row in report(out).items():
        written = nibabel.load(out / row["mask"].replace("masks", folder))
        source = nibabel.load(ward / scan)
        assert written.shape == source.shape
        np.testing.assert_array_equal(written.affine, source.affine)
        # The values, the space they take and what is said in words are a mask's own.
        own = {"datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "cal_max", "cal_min"}
        own |= {*words_in(source.header), "magic"}
        for field in set(source.header.keys()) - own:
            np.testing.assert_array_equal(written.header[field], source.header[field], field)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5), (4, 5, 6, 1), (4, 5, 6, 3)], ids=str)
@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_unpacked_bytes_are_those_that_nibabel_writes(tmp_path, kind, order, shape):
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(f"{order}i2"))
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 99, shape).astype(np.int16)
    nibabel.save(kind(stored, np.diag([-1.0, 2, 3, 1]), header), tmp_path / "scan.nii")
    volume = read(tmp_path / "scan.nii")
    anomaly_map = rng.random(volume.voxels.shape[1:], np.float32)
    for encode, values, highest in (
        (encode_mask, anomaly_map > 0.7, 1),
        (encode_map, anomaly_map, 0),
    ):
        in_file = volume.grid.to_file(values)
        one_volume = in_file.reshape(in_file.shape if shape[3:] == (3,) else shape)
        header["cal_max"] = highest
        header.set_data_dtype(np.uint8 if highest else np.float32)
        expected = kind(one_volume.astype(header.get_data_dtype()), None, header)
        expected.set_qform(volume.grid.header.get_qform(), int(volume.grid.header["qform_code"]))
        expected.set_sform(volume.grid.header.get_sform(), int(volume.grid.header["sform_code"]))
        expected.header.set_xyzt_units(*volume.grid.header.get_xyzt_units())
        assert gzip.decompress(encode(values, volume)) == expected.to_bytes()


def test_the_same_mask_gives_the_same_bytes_whatever_the_time(tmp_path):
    volume = read(scan_of(nibabel.Nifti1Image, tmp_path / "scan.nii"))
    mask = volume.voxels[0] > 50
    packed = encode_mask(mask, volume)
    assert packed == encode_mask(mask.copy(order="F"), volume)
    assert packed[4:8] == bytes(4)  # where gzip notes a time
