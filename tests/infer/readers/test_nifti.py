"""NIfTI → volume → mask; nibabel's own canonical orientation is the truth."""

import gzip
import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.writers import nifti as writer
from infer.writers.atomic import write_bytes

ORIENTATIONS = [
    "".join(codes)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*axes)
]
SHAPE = (4, 5, 6)


def affine_of(codes, spacing=(1.0, 2.0, 3.0)):
    """An affine whose axes run towards `codes`, with `spacing` along x, y and z of the patient."""
    turn = ornt_transform(axcodes2ornt(tuple("RAS")), axcodes2ornt(tuple(codes)))
    return np.diag([*spacing, 1.0]) @ inv_ornt_aff(turn, SHAPE)


def random_voxels(shape=SHAPE, dtype=np.int16):
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(dtype)


def saved(path, voxels, affine=None, kind=nibabel.Nifti1Image):
    nibabel.save(kind(voxels, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_axes_run_towards_s_p_and_l_however_the_file_is_turned(tmp_path, codes):
    path = saved(tmp_path / "scan.nii", random_voxels(), affine_of(codes))
    canonical = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()  # x, y, z to R, A, S
    volume = read(path)
    np.testing.assert_array_equal(volume.voxels[0], canonical.transpose(2, 1, 0)[:, ::-1, ::-1])
    assert volume.spacing_mm == pytest.approx((3, 2, 1))


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_marked_voxel_is_marked_in_the_mask_at_the_same_place(tmp_path, codes):
    voxels = np.zeros(SHAPE, np.int16)
    voxels[1, 3, 2] = 100
    path = saved(tmp_path / "scan.nii.gz", voxels, affine_of(codes))
    volume = read(path)
    mask = volume.voxels[0] > 50
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(mask, volume))
    written = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), voxels > 50)
    np.testing.assert_array_equal(written.affine, nibabel.load(path).affine)
    assert volume.grid.index_in_file(np.argwhere(mask)[0].tolist()) == (1, 3, 2)


def test_an_oblique_volume_takes_the_closest_axes_and_its_mask_stays_oblique(tmp_path):
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    path = saved(tmp_path / "scan.nii", random_voxels(), affine)
    volume = read(path)
    np.testing.assert_array_equal(
        volume.voxels[0], random_voxels().transpose(2, 1, 0)[:, ::-1, ::-1]
    )
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(volume.voxels[0] > 5, volume))
    written = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(written.affine, nibabel.load(path).affine)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5), (4, 5, 6, 1), (4, 5, 1, 1)], ids=str)
def test_the_mask_has_the_scan_s_shape_codes_and_units(tmp_path, kind, shape):
    image = kind(random_voxels(shape), np.diag([2.0, 2, 2, 1]))
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=4)
    image.set_qform(np.diag([2.0, 2, 2, 1]), code=1)
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "scan.nii")
    volume = read(tmp_path / "scan.nii")
    everything = np.ones(volume.voxels.shape[1:], bool)
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(everything, volume))
    mask, scan = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(tmp_path / "scan.nii")
    assert isinstance(mask, kind)
    assert mask.shape == shape
    assert mask.get_data_dtype() == np.uint8
    assert (mask.get_fdata() == 1).all()
    for field in ("pixdim", "xyzt_units", "sform_code", "qform_code", "srow_x", "quatern_b"):
        np.testing.assert_array_equal(mask.header[field], scan.header[field])


def test_the_same_mask_gives_the_same_bytes(tmp_path):
    volume = read(saved(tmp_path / "scan.nii", random_voxels()))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_bytes(tmp_path / name, writer.encode_mask(volume.voxels[0] > 7, volume))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "scan.nii"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_values_are_those_of_nibabel_in_every_type_and_byte_order(tmp_path, dtype, order):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    image = nibabel.Nifti1Image(random_voxels(dtype=dtype), np.eye(4), header)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    truth = nibabel.load(tmp_path / "scan.nii.gz").get_fdata()
    voxels = read(tmp_path / "scan.nii.gz").voxels
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels[0], truth.transpose(2, 1, 0)[:, ::-1, ::-1])


def test_slope_and_intercept_give_hounsfield_units(tmp_path):
    image = nibabel.Nifti1Image(np.full(SHAPE, 30, np.int16), np.eye(4))
    raw = bytearray(image.to_bytes())
    raw[112:120] = np.array([2.0, -1024.0], "<f4").tobytes()  # scl_slope, scl_inter
    (tmp_path / "scan.nii").write_bytes(raw)
    volume = read(tmp_path / "scan.nii")
    assert (volume.voxels == -964).all()
    assert volume.unit == "modality"


def test_microns_become_millimetres(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), np.diag([500.0, 500, 500, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "scan.nii")
    assert read(tmp_path / "scan.nii").spacing_mm == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("tilt", [0.0, 0.2, 25.0])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_the_volume_of_a_voxel_is_right_however_the_gantry_was_tilted(tmp_path, codes, tilt):
    """The determinant of the affine is the truth; in the plane, lengths stay as they are."""
    sheared = np.diag([1.0, 2.0, 3.0])
    sheared[1, 2] = 3.0 * np.tan(np.radians(tilt))
    affine = np.eye(4)
    affine[:3, :3] = affine_of(codes, spacing=(1.0, 1.0, 1.0))[:3, :3] @ sheared
    volume = read(saved(tmp_path / "a.nii", random_voxels(), affine))
    assert np.prod(volume.spacing_mm) == pytest.approx(6.0, rel=2e-4)
    by_file = sorted(zip(volume.grid.axes, volume.spacing_mm, strict=True))
    np.testing.assert_allclose([it for _, it in by_file], [1.0, 2.0, 3.0], rtol=2e-4)


def test_of_several_volumes_the_first_is_read_and_a_warning_says_so(tmp_path):
    voxels = random_voxels((4, 5, 6, 3))
    volume = read(saved(tmp_path / "scan.nii", voxels))
    np.testing.assert_array_equal(
        volume.voxels[0], voxels[..., 0].transpose(2, 1, 0)[:, ::-1, ::-1]
    )
    assert volume.warnings == ("it holds 3 volumes: the first was read",)
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(volume.voxels[0] > 5, volume))
    assert nibabel.load(tmp_path / "mask.nii.gz").shape == (4, 5, 6)


def test_a_packed_file_is_recognised_by_content(tmp_path):
    whole = nibabel.Nifti1Image(random_voxels(), np.eye(4)).to_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(whole)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(whole))
    np.testing.assert_array_equal(
        read(tmp_path / "plain.nii.gz").voxels, read(tmp_path / "packed.nii").voxels
    )


def test_bytes_after_the_voxels_do_no_harm(tmp_path):
    whole = nibabel.Nifti1Image(random_voxels(), np.eye(4)).to_bytes()
    (tmp_path / "plain.nii").write_bytes(whole + b"garbage")
    (tmp_path / "packed.nii.gz").write_bytes(gzip.compress(whole) + b"garbage")
    assert read(tmp_path / "plain.nii").grid.shape == SHAPE
    assert read(tmp_path / "packed.nii.gz").grid.shape == SHAPE


def test_a_header_without_orientation_is_mentioned(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), None)
    nibabel.save(image, tmp_path / "scan.nii")
    assert "no orientation" in read(tmp_path / "scan.nii").warnings[0]


def raw_nifti(voxels=None, *, affine=None, dim=None, quaternion=None):
    voxels = random_voxels() if voxels is None else voxels
    raw = bytearray(nibabel.Nifti1Image(voxels, np.eye(4)).to_bytes())
    if dim is not None:
        raw[40:56] = np.array([*dim, *[1] * (8 - len(dim))], "<i2").tobytes()
    if affine is not None:
        raw[280:328] = np.asarray(affine, "<f4")[:3].tobytes()
        raw[252:256] = np.array([0, 1], "<i2").tobytes()  # qform_code, sform_code
    if quaternion is not None:
        raw[252:256] = np.array([1, 0], "<i2").tobytes()
        raw[256:268] = np.array(quaternion, "<f4").tobytes()
    return bytes(raw)


def damaged(packed):
    """One bit of the voxels changed without being noticed by anything but the checksum."""
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


NOISE = np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8)
PACKED = gzip.compress(raw_nifti(NOISE))
NAN, INF = random_voxels(dtype=np.float32), random_voxels(dtype=np.float32)
NAN[1, 2, 3], INF[0, 0, 0], INF[3, 3, 3] = np.nan, np.inf, -np.inf
RGB = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
HOSTILE = {
    "empty.nii": (b"", "is empty"),
    "empty.nii.gz": (b"", "is empty"),
    "text.nii": (b"patient,score\n" * 50, "is not a NIfTI file"),
    "short_text.nii.gz": (b"hello", "is not a NIfTI file"),
    "packed_text.nii.gz": (gzip.compress(b"hello"), "is not a NIfTI file"),
    "packed_nothing.nii.gz": (gzip.compress(b""), "is not a NIfTI file"),
    "half_header.nii": (raw_nifti()[:200], "is not a NIfTI file"),
    "half.nii": (raw_nifti()[:400], "ends in the middle of its voxels"),
    "last_byte.nii": (raw_nifti()[:-1], "ends in the middle of its voxels"),
    "half.nii.gz": (PACKED[: len(PACKED) // 2], "ends in the middle"),
    "last_byte.nii.gz": (PACKED[:-1], "ends in the middle"),
    "two_bytes.nii.gz": (PACKED[:2], "ends in the middle"),
    "checksum.nii.gz": (damaged(PACKED), "damaged"),
    "bits.nii.gz": (PACKED[:500] + bytes(200) + PACKED[700:], "damaged"),
    "huge.nii": (raw_nifti(dim=[3, 32000, 32000, 32000]), "claims 32,000 × 32,000 × 32,000"),
    "huge.nii.gz": (gzip.compress(raw_nifti(dim=[3, 32000, 32000, 32000])), "claims 32,000"),
    "no_voxels.nii": (raw_nifti(dim=[3, 4, 0, 6]), "has no voxels"),
    "negative.nii": (raw_nifti(dim=[3, 4, -5, 6]), "has no voxels"),
    "no_axes.nii": (raw_nifti(dim=[0]), "has no voxels|not a NIfTI"),
    "nine_axes.nii": (raw_nifti(dim=[9, 4, 5, 6]), "not a NIfTI"),
    "five_axes.nii": (raw_nifti(np.zeros((4, 5, 6, 1, 3), np.int16)), "has 5 axes"),
    "rgb.nii": (raw_nifti(RGB), "colours or complex numbers"),
    "complex.nii": (raw_nifti(np.zeros(SHAPE, np.complex64)), "colours or complex numbers"),
    "nan.nii": (raw_nifti(NAN), "holds 1 voxels that are not finite"),
    "infinite.nii": (raw_nifti(INF), "holds 2 voxels that are not finite"),
    "overflow.nii": (raw_nifti(np.full(SHAPE, 1e300)), "holds 120 voxels"),
    "singular.nii": (raw_nifti(affine=np.diag([1, 1, 0, 1])), "how it lies in space"),
    "nan_affine.nii": (raw_nifti(affine=np.full((4, 4), np.nan)), "how it lies in space"),
    "no_rotation.nii": (raw_nifti(quaternion=(0.9, 0.9, 0)), "how it lies in space"),
    "type.nii": (raw_nifti()[:70] + b"\x39\x05" + raw_nifti()[72:], "not a NIfTI"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_one_volume_of_numbers_is_refused_in_one_sentence(tmp_path, name, capfd):
    content, says = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableScanError, match=says) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(name)
    assert capfd.readouterr() == ("", "")
