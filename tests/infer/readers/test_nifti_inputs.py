"""What else may be a NIfTI scan: pairs, 4-D, every type; and files that unpack to far too much."""

import gzip
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest

from infer.errors import UnknownChoiceError, UnreadableScanError
from infer.readers import read, voxel_stream
from infer.readers.choice import USUAL, Choice
from infer.readers.reading import claim_of, digest_of_scan
from infer.readers.source import Source
from infer.writers import nifti as writer
from infer.writers.atomic import write_bytes

SHAPE = (4, 5, 6)


def choice(**changed):
    return Choice(**{"volume": 0, "max_voxels": USUAL.max_voxels, "plane": "axial"} | changed)


def random_voxels(shape=SHAPE, dtype=np.int16):
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(dtype)


def ours(voxels):
    """Of a file with the identity as affine: axes towards S, P, L."""
    return voxels.transpose(2, 1, 0)[:, ::-1, ::-1]


def saved(path, voxels, kind=nibabel.Nifti1Image):
    nibabel.save(kind(voxels, np.eye(4)), path)
    return path


def raw(voxels, kind=nibabel.Nifti1Image):
    return kind(voxels, np.eye(4)).to_bytes()


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_pair_is_one_scan_called_after_its_header(tmp_path, kind, ending):
    image = kind(random_voxels(), np.diag([1.0, 2, 3, 1]))
    files = {"header": tmp_path / f"a.hdr{ending}", "image": tmp_path / f"a.img{ending}"}
    image.to_file_map({part: nibabel.FileHolder(str(path)) for part, path in files.items()})
    volume = read(files["header"])
    np.testing.assert_array_equal(volume.voxels[0], ours(random_voxels()))
    assert volume.spacing_mm == pytest.approx((3, 2, 1))
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(volume.voxels[0] > 5, volume))
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), random_voxels() > 5)
    np.testing.assert_array_equal(mask.affine, image.affine)


def test_a_change_in_either_file_of_a_pair_is_another_content(tmp_path):
    saved(tmp_path / "a.img", random_voxels(), nibabel.Nifti1Pair)
    seen = {digest_of_scan(Source(tmp_path / "a.hdr"))}
    for name in ("a.img", "a.hdr"):
        content = bytearray((tmp_path / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
        seen.add(digest_of_scan(Source(tmp_path / "a.hdr")))
    assert len(seen) == 3


def test_half_a_pair_is_refused(tmp_path):
    saved(tmp_path / "a.img", random_voxels(), nibabel.Nifti1Pair)
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    with pytest.raises(UnreadableScanError, match=r"a\.img could not be opened: No such file"):
        read(tmp_path / "a.hdr")
    with pytest.raises(UnreadableScanError, match=r"b\.img lacks its header"):
        read(tmp_path / "b.img")


def test_a_file_that_points_to_voxels_elsewhere_is_refused(tmp_path):
    saved(tmp_path / "a.img", random_voxels(), nibabel.Nifti1Pair)
    (tmp_path / "a.hdr").rename(tmp_path / "a.nii")
    with pytest.raises(UnreadableScanError, match="another file, not in this one"):
        read(tmp_path / "a.nii")


INTEGERS = [np.dtype(f"{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)]
FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]


@pytest.mark.parametrize("kind", INTEGERS + FLOATS, ids=str)
@pytest.mark.parametrize("scaling", [(1, 0), (0.5, -3), (-2, 1000)])
def test_every_type_is_scaled_as_nibabel_scales_it(tmp_path, kind, scaling):
    stored = random_voxels(dtype=kind)
    image = nibabel.Nifti1Image(stored, np.eye(4), dtype=kind)
    image.header.set_slope_inter(*scaling)
    image.header.set_data_dtype(kind)
    content = bytearray(nibabel.Nifti1Image(stored, np.eye(4), dtype=kind).to_bytes())
    content[112:120] = np.array(scaling, "<f4").tobytes()  # scl_slope, scl_inter
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    truth = nibabel.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").voxels[0], ours(truth))
    assert truth.min() == min(scaling[1], 119 * scaling[0] + scaling[1])


@pytest.mark.parametrize("kind", ["i4", "u4", "i8", "u8", "f8"])
def test_large_stored_values_keep_what_tells_them_apart(tmp_path, kind):
    far = 2**30  # where float32 knows every 128th number only
    stored = (random_voxels(dtype=np.int64) + far).astype(kind)
    image = nibabel.Nifti1Image(stored, np.eye(4), dtype=stored.dtype)
    content = bytearray(image.to_bytes())
    content[112:120] = np.array((1, -far), "<f4").tobytes()  # scl_slope, scl_inter
    (tmp_path / "a.nii").write_bytes(content)
    voxels = read(tmp_path / "a.nii").voxels[0]
    np.testing.assert_array_equal(voxels, ours(random_voxels(dtype=np.int64)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_of_several_volumes_the_one_that_was_asked_for_is_read(tmp_path, name, number):
    voxels = random_voxels((4, 5, 6, 3))
    volume = read(saved(tmp_path / name, voxels), choice(volume=number))
    np.testing.assert_array_equal(volume.voxels[0], ours(voxels[..., number]))
    (warning,) = volume.warnings
    assert "holds 3 volumes" in warning
    assert ("the first" if number == 0 else f"number {number}, counted from 0,") in warning
    write_bytes(tmp_path / "mask.nii.gz", writer.encode_mask(volume.voxels[0] > 5, volume))
    assert nibabel.load(tmp_path / "mask.nii.gz").shape == SHAPE


def test_a_volume_that_is_not_there_is_refused_and_a_single_one_needs_no_choice(tmp_path):
    several = saved(tmp_path / "several.nii", random_voxels((4, 5, 6, 3)))
    with pytest.raises(UnreadableScanError, match="has no volume 3: it holds 3, counted from 0"):
        read(several, choice(volume=3))
    single = saved(tmp_path / "single.nii", random_voxels())
    assert read(single, choice(volume=3)).warnings == ()
    with pytest.raises(UnknownChoiceError):
        choice(volume=-1)


def test_only_the_volume_that_is_read_is_held(tmp_path):
    voxels = np.zeros((64, 64, 32, 40), np.int16)
    path = saved(tmp_path / "a.nii.gz", voxels)
    read(path)  # imports
    tracemalloc.start()
    read(path, choice(volume=39))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < voxels[..., 0].size * 4 + 2**21  # float32, and buffers; all would be 10 MB


def test_a_scan_larger_than_allowed_is_refused_by_its_header(tmp_path):
    (tmp_path / "a.nii").write_bytes(raw(random_voxels())[:352])  # no voxels at all
    with pytest.raises(UnreadableScanError, match=r"claims 4 × 5 × 6 voxels.*119: --max-voxels"):
        read(tmp_path / "a.nii", choice(max_voxels=119))
    assert claim_of(Source(tmp_path / "a.nii"), choice(max_voxels=120)).shape == SHAPE


def bomb(size):
    """Zeros, packed a thousandfold without ever being held."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield packer.compress(raw(random_voxels()))
    for _ in range(size // 2**20):
        yield packer.compress(bytes(2**20))
    yield packer.flush()


def test_what_a_packed_file_holds_after_its_voxels_is_never_held(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"".join(bomb(2**28)))
    read(saved(tmp_path / "small.nii.gz", random_voxels()))  # imports
    tracemalloc.start()
    volume = read(tmp_path / "a.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert volume.grid.shape == SHAPE
    assert peak < 2**23


def test_a_packed_file_that_goes_on_for_ever_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("infer.readers.voxel_stream._MOST_AFTER", 2**22)
    (tmp_path / "a.nii.gz").write_bytes(b"".join(bomb(2**24)))
    with pytest.raises(UnreadableScanError, match="goes on for more than"):
        read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("offset", [np.inf, np.nan, 1e30, 0])
def test_voxels_that_begin_nowhere_or_in_the_header_are_refused(tmp_path, offset):
    content = bytearray(raw(random_voxels()))
    content[108:112] = np.array([offset], "<f4").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UnreadableScanError, match="where its voxels begin"):
        read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_scan_whose_last_volumes_are_cut_off_is_refused_whichever_is_scored(tmp_path, name):
    content = raw(random_voxels((*SHAPE, 3)))[:-1]
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UnreadableScanError, match="ends before the last of its volumes"):
        read(tmp_path / name)


def test_a_header_that_lays_the_scan_in_two_places_is_warned_of(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.set_qform(np.diag([-2.0, 3.0, 4.0, 1.0]), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    (warning,) = read(tmp_path / "a.nii").warnings
    assert warning == "its sform and its qform lie up to 12 mm apart: the former was taken"


def test_a_header_that_gives_two_sizes_of_a_voxel_is_warned_of(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), np.eye(4))
    content = bytearray(image.to_bytes())
    content[80:92] = np.array([0.5, 0.5, 5.0], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    (warning,) = read(tmp_path / "a.nii").warnings
    assert "1 × 1 × 1 (sform) and 0.5 × 0.5 × 5 (pixdim)" in warning


@pytest.mark.parametrize("codes", [(0, 1), (1, 0), (1, 1)], ids=["sform", "qform", "both"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_headers_as_they_are_usually_written_are_not_warned_of(tmp_path, codes, kind):
    turned = nibabel.eulerangles.euler2mat(0.3, -0.2, 0.1) @ np.diag([-0.9, 0.8, 4.5])
    image = kind(random_voxels((200, 200, 30)), nibabel.affines.from_matvec(turned, [-80, 9, 40]))
    image.set_qform(image.affine, code=codes[0])
    image.set_sform(image.affine, code=codes[1])
    nibabel.save(image, tmp_path / "a.nii")
    assert read(tmp_path / "a.nii").warnings == ()


def test_an_extension_of_any_claimed_length_is_passed_over(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 5000))
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").voxels[0], ours(random_voxels()))
    content = bytearray(image.to_bytes())
    content[352:356] = (2**31 - 16).to_bytes(4, "little")
    (tmp_path / "b.nii").write_bytes(content)
    np.testing.assert_array_equal(read(tmp_path / "b.nii").voxels[0], ours(random_voxels()))


def test_a_file_packed_in_parts_is_read_as_one(tmp_path):
    whole = raw(random_voxels())
    parts = [gzip.compress(part) for part in (whole[:100], b"", whole[100:400], whole[400:])]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(parts))
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").voxels[0], ours(random_voxels()))


def test_every_cut_of_a_packed_file_is_noticed(tmp_path):
    packed = gzip.compress(raw(random_voxels()))
    for length in range(len(packed)):
        (tmp_path / "a.nii.gz").write_bytes(packed[:length])
        with pytest.raises(UnreadableScanError):
            read(tmp_path / "a.nii.gz")


def test_no_changed_bit_of_packed_data_goes_unnoticed(tmp_path):
    packed = gzip.compress(raw(random_voxels()), mtime=0)
    for at in range(10, len(packed)):
        changed = packed[:at] + bytes([packed[at] ^ 4]) + packed[at + 1 :]
        (tmp_path / "a.nii.gz").write_bytes(changed)
        with pytest.raises(UnreadableScanError):
            read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_of_a_long_series_the_first_volume_is_read_however_much_follows(
    tmp_path, monkeypatch, ending
):
    """The header says how much that is; only what lies beyond it is more than there can be."""
    monkeypatch.setattr(voxel_stream, "_MOST_AFTER", 100)
    voxels = random_voxels((*SHAPE, 9))
    path = saved(tmp_path / f"a{ending}", voxels)
    np.testing.assert_array_equal(read(path).voxels[0], ours(voxels[..., 0]))
    np.testing.assert_array_equal(read(path, choice(volume=8)).voxels[0], ours(voxels[..., 8]))
