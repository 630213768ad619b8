"""DICOM series → volume; the stored values and positions that the test wrote are the truth."""

import contextlib
import io
import itertools
import tracemalloc

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    JPEG2000,
    EncapsulatedPDFStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SegmentationStorage,
    generate_uid,
)

from infer.errors import UnreadableScanError
from infer.readers import read_series
from infer.readers.choice import USUAL, Choice
from infer.readers.dicom import open_stack, read
from infer.readers.reading import claim_of
from infer.readers.source import Source
from infer.writers import nifti
from tests.infer.dicom_files import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    SECRETS,
    base,
    enhanced,
    head,
    saved,
    series,
    with_pixels,
)


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def volume_of(folder):
    return read(files_in(folder))[0]


def refusal(files):
    with pytest.raises(UnreadableScanError) as caught:
        read(files)
    for secret in SECRETS.values():
        assert secret not in f"{caught.value} {caught.value.hint}"
    return str(caught.value)


def affine_of(volume):
    return volume.grid.header.get_sform()


def place(volume, slice_, row, column):
    """Where a voxel of the volume lies, in mm towards R, A, S, by its NIfTI affine."""
    index = volume.grid.index_in_file((slice_, row, column))
    return (affine_of(volume) @ [*index, 1])[:3]


def test_slices_are_sorted_by_position_and_rescaled_to_hounsfield_units(tmp_path):
    stored = head() * 20
    series(tmp_path, stored, slope=1, intercept=-1024)
    volume = volume_of(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], stored - 1024)
    assert volume.voxels.dtype == np.float32
    assert volume.unit == "modality"
    assert volume.spacing_mm == pytest.approx((3, 0.5, 0.75))
    assert volume.warnings == ()


@pytest.mark.parametrize("intercept", [0, -5.5])
def test_each_slice_has_a_slope_of_its_own(tmp_path, intercept):
    def change(dataset, at):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + at / 4, intercept

    stored = head()
    series(tmp_path, stored, modality="MR", change=change)
    slopes = 1 + np.arange(len(stored)) / 4
    np.testing.assert_array_equal(
        volume_of(tmp_path).voxels[0], stored * slopes[:, None, None] + intercept
    )


def test_without_a_slope_values_are_as_stored(tmp_path):
    series(tmp_path, head(), modality="MR", slope=None)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], head())


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL], ids=["axial", "coronal", "sag"])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("backwards", [False, True])
def test_every_voxel_keeps_its_place_and_axes_run_towards_s_p_and_l(
    tmp_path, directions, turns, backwards
):
    row, column = np.array(directions)
    for _ in range(turns):
        row, column = column, -row
    normal = np.cross(row, column)
    first = np.array([7.0, -11.0, 13.0])
    step = 3.0 * (-normal if backwards else normal)
    stored = head()
    positions = [first + at * step for at in range(len(stored))]
    series(tmp_path, stored, directions=(row, column), positions=positions, slope=None)
    volume = volume_of(tmp_path)
    voxels = volume.voxels[0]
    for slice_, i, j in itertools.product((0, 4), (0, 3, 11), (0, 5, 9)):
        # DICOM PS3.3 C.7.6.2.1.1; pixels are 0.5 mm apart down a column, 0.75 mm along a row.
        lps = positions[slice_] + row * 0.75 * j + column * 0.5 * i
        at = np.linalg.inv(affine_of(volume)) @ [*(lps * [-1, -1, 1]), 1]
        index = tuple(np.round(at[:3]).astype(int))
        np.testing.assert_allclose(at[:3], index, atol=1e-4)
        assert volume.grid.to_file(voxels)[index] == stored[slice_, i, j]
    for axis, (direction, mm) in enumerate(
        zip(([0, 0, 1], [0, -1, 0], [-1, 0, 0]), volume.spacing_mm, strict=True)
    ):
        ahead = [0, 0, 0]
        ahead[axis] = 1
        np.testing.assert_allclose(
            place(volume, *ahead) - place(volume, 0, 0, 0), np.array(direction) * mm, atol=1e-5
        )


OBLIQUE = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0][:2]


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL, OBLIQUE], ids=str)
def test_voxels_lie_where_highdicom_says_they_do(tmp_path, directions):
    series(tmp_path, head(), directions=directions, intercept=0)
    sources = [pydicom.dcmread(path) for path in files_in(tmp_path)]
    truth = highdicom.get_volume_from_series(sources)
    volume = volume_of(tmp_path)
    indices = np.argwhere(truth.array > -1)  # slice, row, column, in its own order
    places = truth.map_indices_to_reference(indices) * [-1, -1, 1]
    ours = np.c_[places, np.ones(len(places))] @ np.linalg.inv(affine_of(volume)).T
    at = tuple(np.round(ours[:, :3]).astype(int).T)
    np.testing.assert_allclose(ours[:, :3], np.transpose(at), atol=1e-3)
    found = volume.grid.to_file(volume.voxels[0])[at]
    np.testing.assert_array_equal(found, truth.array[tuple(indices.T)])


def test_the_digest_is_that_of_the_content_whatever_the_files_are_called(tmp_path):
    datasets = series(tmp_path / "a", head())
    for at, dataset in enumerate(datasets):
        saved(dataset, tmp_path / "b" / f"{at}.dcm")
    one = read(files_in(tmp_path / "a"))[1]
    assert one == read(files_in(tmp_path / "b"))[1] != ""
    datasets[2].PixelData = bytes(len(datasets[2].PixelData))
    saved(datasets[2], tmp_path / "b/2.dcm")
    assert read(files_in(tmp_path / "b"))[1] != one


def test_monochrome1_is_inverted_within_the_stored_bits(tmp_path):
    stored = head()
    shown = {"bits": 12, "photometric": "MONOCHROME1", "slope": 2, "intercept": 10}
    series(tmp_path, stored, modality="MR", **shown)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], (4095 - stored) * 2 + 10)


def test_signed_monochrome1_is_inverted_about_its_middle(tmp_path):
    stored = head() - 60
    series(tmp_path, stored, modality="MR", photometric="MONOCHROME1", signed=True, slope=None)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], -1 - stored)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_a_modality_table_is_looked_up_and_inverted_where_the_lowest_is_white(
    tmp_path, photometric
):
    table = np.random.default_rng(0).integers(0, 2**16, 120)

    def look_up(dataset, at):
        entry = pydicom.Dataset()
        entry.LUTDescriptor = [len(table), 0, 16]  # entries, first value, bits
        entry.ModalityLUTType = "US"
        entry.add_new("LUTData", "OW", table.astype("<u2").tobytes())
        dataset.ModalityLUTSequence = pydicom.Sequence([entry])

    series(tmp_path, head(), modality="MR", photometric=photometric, slope=None, change=look_up)
    found = volume_of(tmp_path).voxels[0]
    expected = table[head()]
    inverted = photometric == "MONOCHROME1"
    np.testing.assert_array_equal(found, 2**16 - 1 - expected if inverted else expected)


def test_large_stored_values_keep_what_tells_them_apart(tmp_path):
    far = 2**31  # where float32 knows every 256th number only

    def store(dataset, at):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
        dataset.PixelData = (far + head()[at]).astype("<u4").tobytes()

    series(tmp_path, head(), slope=1, intercept=-far, change=store)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], head())


def test_hounsfield_units_are_the_same_however_they_are_to_be_displayed(tmp_path):
    series(tmp_path, head(), photometric="MONOCHROME1")
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], head() - 1024)


def test_bits_above_the_stored_ones_are_no_part_of_a_value(tmp_path):
    stored = head() + 0x7000  # where old files keep an overlay
    series(tmp_path, stored, bits=12, intercept=0)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], head())


@pytest.mark.parametrize("order", [None, [3, 0, 4, 1, 2]], ids=["in order", "mixed"])
def test_an_enhanced_file_gives_its_frames_in_order_with_their_own_slopes(tmp_path, order):
    stored, slopes = head(), [1.0, 2.0, 0.5, 1.5, 4.0]
    enhanced(tmp_path / "mf.dcm", stored, slopes=slopes, order=order)
    volume = volume_of(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], stored * np.array(slopes)[:, None, None])
    assert volume.spacing_mm == pytest.approx((3, 0.5, 0.75))
    np.testing.assert_allclose(place(volume, 0, 0, 0), [20, 30, 40])


def textured(shape=(3, 64, 48), *, highest=1000):
    """Waves and a little noise, 0 to `highest`: large and smooth enough for every encoder."""
    z, y, x = np.indices(shape)
    waves = 2 + np.sin(y / 9 + z) + np.cos(x / 7)
    noise = np.random.default_rng(0).uniform(0, 0.1, shape)
    return ((waves + noise) / 4.1 * highest).astype(int)


LOSSLESS = [JPEG2000Lossless, JPEGLSLossless, RLELossless]


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_compressed_without_loss_gives_the_same_values(tmp_path, syntax, signed, bits):
    stored = textured(highest=2 ** (bits - 1) - 1) - (2 ** (bits - 2) if signed else 0)
    series(tmp_path, stored, syntax=syntax, signed=signed, bits=bits, intercept=-1024)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], stored - 1024)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_a_compressed_enhanced_file_gives_the_same_values(tmp_path, syntax):
    stored = textured((5, 64, 48))
    enhanced(tmp_path / "mf.dcm", stored, order=[3, 0, 4, 1, 2], syntax=syntax)
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], stored)


def with_jpeg(dataset, encoded, syntax, path):
    """A file whose pixels are this JPEG stream."""
    saved(dataset, path)
    dataset.PixelData = pydicom.encaps.encapsulate([encoded])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("kind", ["near-lossless JPEG-LS", "JPEG 2000", "baseline JPEG"])
def test_compressed_with_loss_gives_nearly_the_same_values(tmp_path, kind):
    pictures = textured(highest=250).astype(np.uint8)
    options = {"bits": 8, "intercept": 0}
    if kind == "baseline JPEG":
        import cv2

        def change(dataset, at):
            ok, encoded = cv2.imencode(".jpg", pictures[at], [cv2.IMWRITE_JPEG_QUALITY, 98])
            assert ok
            dataset.encoded = encoded.tobytes()

        datasets = series(tmp_path, pictures, change=change, **options)
        for path, dataset in zip(files_in(tmp_path), datasets, strict=True):
            with_jpeg(dataset, dataset.encoded, JPEGBaseline8Bit, path)
    else:
        syntax, how = (
            (JPEGLSNearLossless, {"jls_error": 2}) if "LS" in kind else (JPEG2000, {"j2k_cr": [4]})
        )
        datasets = series(tmp_path, pictures, **options)
        for path, dataset in zip(files_in(tmp_path), datasets, strict=True):
            dataset.compress(syntax, generate_instance_uid=False, **how)
            dataset.save_as(path, enforce_file_format=True)
    voxels = volume_of(tmp_path).voxels[0]
    # A few grey levels: two are what the near-lossless coder was told to keep to.
    assert np.abs(voxels - pictures).max() <= (2 if "LS" in kind else 6)


def test_lossless_jpeg_the_hospitals_usual_is_read(tmp_path):
    gdcm = pytest.importorskip("gdcm")
    stored = head()
    series(tmp_path, stored)
    for path in files_in(tmp_path):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], stored - 1024)


def test_a_stream_that_claims_a_larger_picture_than_its_header_is_not_decoded(tmp_path):
    [dataset] = series(tmp_path, textured((1, 64, 48)), syntax=JPEG2000Lossless)
    encoded = bytearray(dataset.PixelData)
    at = encoded.index(b"\xff\x4f\xff\x51")
    encoded[at + 8 : at + 16] = (60000).to_bytes(4, "big") * 2
    dataset.PixelData = bytes(encoded)
    path = files_in(tmp_path)[0]
    dataset.save_as(path, enforce_file_format=True)
    assert "claim 60,000 × 60,000, its header 48 × 64" in refusal([path])


def test_a_radiograph_is_one_upright_slice_that_lies_nowhere(tmp_path):
    dataset = with_pixels(base(modality="DX"), head()[0], bits=12, photometric="MONOCHROME1")
    del dataset.FrameOfReferenceUID
    dataset.ImagerPixelSpacing = [0.2, 0.1]
    volume = read([saved(dataset, tmp_path / "dx.dcm")])[0]
    np.testing.assert_array_equal(volume.voxels[0, 0], 4095 - head()[0])
    assert (volume.spacing_mm, volume.unit) == (None, "modality")
    assert volume.grid.index_in_file((0, 3, 2)) == (2, 3, 0)
    assert volume.grid.header.get_sform(coded=True)[1] == 0
    assert volume.grid.header.get_zooms()[:2] == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize("placed", [False, True], ids=["nowhere", "beside its slice"])
def test_a_colour_picture_has_its_colours_from_black_to_white(tmp_path, placed):
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3
    dataset = with_pixels(base(modality="OP"), colours[..., 0], bits=8)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.PixelData = 0, colours.tobytes()
    if placed:  # as screenshots are that a workstation puts into a study
        dataset.ImagePositionPatient, dataset.PixelSpacing = [0, 0, 0], [1, 1]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    volume = read([saved(dataset, tmp_path / "fundus.dcm")])[0]
    np.testing.assert_allclose(volume.voxels[:, 0], colours.transpose(2, 0, 1) / 255, rtol=1e-6)
    assert volume.unit == "display"


def test_a_single_slice_of_a_series_has_the_thickness_it_states(tmp_path):
    series(tmp_path, head(shape=(1, 12, 10)), step_mm=4.5)
    assert volume_of(tmp_path).spacing_mm == pytest.approx((4.5, 0.5, 0.75))


def test_a_single_slice_that_states_no_thickness_is_warned_of(tmp_path):
    def without(dataset, at):
        del dataset.SliceThickness

    series(tmp_path, head(shape=(1, 12, 10)), change=without)
    (warning,) = volume_of(tmp_path).warnings
    assert "does not say how thick its slice is" in warning


def tilted_positions(degrees, count=5, step=3.0):
    """The table moves along S; slices lean over by some degrees."""
    return [np.array([-20.0, -30.0, 40.0 + at * step]) for at in range(count)], (
        (1.0, 0.0, 0.0),
        (0.0, float(np.cos(np.deg2rad(degrees))), float(-np.sin(np.deg2rad(degrees)))),
    )


def test_a_tilted_stack_is_scored_as_taken_and_its_affine_is_sheared_but_exact(tmp_path):
    positions, directions = tilted_positions(20)
    series(tmp_path, head(), positions=positions, directions=directions)
    volume = volume_of(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], head() - 1024)
    assert "tilted by 20.0°" in volume.warnings[0]
    assert len(volume.warnings) == 1
    row, column = np.array(directions)
    for slice_, i, j in itertools.product(range(5), (0, 11), (0, 9)):
        lps = positions[slice_] + row * 0.75 * j + column * 0.5 * i
        np.testing.assert_allclose(place(volume, slice_, i, j), lps * [-1, -1, 1], atol=1e-4)
    # Across the planes: a voxel's volume is that of the sheared cell.
    voxel_ml = abs(np.linalg.det(affine_of(volume)[:3, :3]))
    assert np.prod(volume.spacing_mm) == pytest.approx(voxel_ml)
    assert volume.spacing_mm[0] == pytest.approx(3 * np.cos(np.deg2rad(20)))
    assert volume.grid.header["qform_code"] == 0


def stack_at(tmp_path, heights, **options):
    positions = [np.array([-20.0, -30.0, height]) for height in heights]
    series(tmp_path, head(shape=(len(heights), 12, 10)), positions=positions, **options)
    return volume_of(tmp_path)


def test_uneven_spacing_is_a_warning_that_says_how_far_off_the_affine_is(tmp_path):
    volume = stack_at(tmp_path, [0, 3, 6, 10, 14])
    np.testing.assert_array_equal(volume.voxels[0], head() - 1024)
    assert volume.warnings == (
        "slices are unevenly spaced, 3 to 4 mm: the mask's affine and volumes in ml take 3.5 mm "
        "throughout, which puts slices up to 1 mm off",
    )


def test_a_missing_slice_is_a_warning(tmp_path):
    volume = stack_at(tmp_path, [0, 3, 6, 12, 15])
    assert volume.warnings[0].startswith("1 slices seem to be missing (spacing 3 mm)")


def test_rounded_positions_are_no_uneven_spacing(tmp_path):
    volume = stack_at(tmp_path, np.round(np.arange(30) * 0.625, 2))
    assert volume.warnings == ()


def test_slices_shifted_within_their_plane_are_a_warning(tmp_path):
    positions = [np.array([-20.0 + (at == 2), -30.0, 3.0 * at]) for at in range(5)]
    series(tmp_path, head(), positions=positions)
    assert "shifted against each other by up to 1 mm" in volume_of(tmp_path).warnings[0]


def test_equal_slices_at_one_place_are_scored_once(tmp_path):
    datasets = series(tmp_path, head())
    datasets[2].SOPInstanceUID = generate_uid()
    saved(datasets[2], tmp_path / "again.dcm")
    volume = volume_of(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], head() - 1024)
    assert volume.warnings == ("1 slices are there twice and equal: each was scored once",)


@pytest.mark.parametrize("difference", ["pixels", "rescale"])
def test_different_slices_at_one_place_are_refused(tmp_path, difference):
    datasets = series(tmp_path, head())
    if difference == "pixels":
        with_pixels(datasets[2], head(seed=1)[2])
    else:
        datasets[2].RescaleIntercept = 0
    saved(datasets[2], tmp_path / "again.dcm")
    assert "different images at the same position" in refusal(files_in(tmp_path))


def test_several_volumes_in_one_enhanced_file_are_refused(tmp_path):
    dataset = enhanced(tmp_path / "mf.dcm", head())
    for frame in dataset.PerFrameFunctionalGroupsSequence[3:]:
        frame.PlanePositionSequence[0].ImagePositionPatient = [-20, -30, 40]
    saved(dataset, tmp_path / "mf.dcm")
    assert "different images at the same position" in refusal([tmp_path / "mf.dcm"])


def changed(tmp_path, change, at=2):
    def some(dataset, index):
        if at is None or index == at:
            change(dataset)

    series(tmp_path, head(), change=some)
    return refusal(files_in(tmp_path))


def test_a_localiser_is_refused(tmp_path):
    def localise(dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    assert changed(tmp_path / "all", localise, at=None) == (
        "the series is a localiser (scout), not a scan"
    )
    assert "mixes 4 slices with 1 localisers" in changed(tmp_path / "one", localise)


def test_mixed_orientations_are_refused(tmp_path):
    def turn(dataset):
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    assert "different orientation (2 kinds among 5 slices)" in changed(tmp_path, turn)


def test_slightly_turned_slices_are_refused_too(tmp_path):
    turned = np.deg2rad(2)

    def turn(dataset):
        dataset.ImageOrientationPatient = [np.cos(turned), np.sin(turned), 0, -np.sin(turned),
                                           np.cos(turned), 0]  # fmt: skip

    assert "different orientation" in changed(tmp_path, turn)


REFUSED = {
    "sizes": (lambda d: with_pixels(d, head(shape=(1, 8, 10))[0]), "different sizes (4 of 10 × 12"),
    "spacing": (lambda d: setattr(d, "PixelSpacing", [0.6, 0.75]), "different pixel spacing"),
    "frame of reference": (lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3"), "frames of refer"),
    "no position": (lambda d: delattr(d, "ImagePositionPatient"), "no position in space for 1 of"),
    "no pixels": (lambda d: delattr(d, "PixelData"), "has no pixel data"),
    "no rows": (lambda d: delattr(d, "Rows"), "has no pixel data"),
    "zero": (lambda d: setattr(d, "ImageOrientationPatient", [0] * 6), "right angles"),
    "huge": (lambda d: setattr(d, "NumberOfFrames", 2**31 - 1), "its 2,147,483,647 frames"),
    "short": (
        lambda d: setattr(d, "PixelData", d.PixelData[:-20]),
        "not valid DICOM, or it is dam",
    ),
    "infinite": (lambda d: setattr(d, "RescaleSlope", "1e39"), "not finite"),
    "slope 0": (lambda d: setattr(d, "RescaleSlope", 0), "makes all of its voxels alike"),
    "64 bits": (lambda d: setattr(d, "BitsAllocated", 64), "1 values of 64 bits"),
    "segmentation": (lambda d: setattr(d, "SOPClassUID", SegmentationStorage), "is a segmentation"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_series_that_is_not_one_volume_is_refused_with_the_reason(tmp_path, what):
    change, says = REFUSED[what]
    assert says in changed(tmp_path, change)


@pytest.mark.parametrize(
    "what", ["sizes", "no position", "no rows", "huge", "slope 0", "segmentation"]
)
def test_headers_suffice_to_refuse(tmp_path, what):
    series(tmp_path, head(), change=lambda d, at: REFUSED[what][0](d) if at == 2 else None)
    with pytest.raises(UnreadableScanError):
        open_stack(files_in(tmp_path))


def test_headers_suffice_to_tell_the_size(tmp_path):
    series(tmp_path, head())
    opened = open_stack(files_in(tmp_path))
    assert (opened.shape, opened.colours) == ((10, 12, 5), 1)


def at_most(voxels):
    return Choice(volume=0, max_voxels=voxels, plane="axial")


def saved_with_a_claim(path, *, rows, columns):
    """One slice whose header claims more pixels than there are."""
    [dataset] = series(path.parent, head(shape=(1, 12, 10)), name=path.name)
    dataset.Rows, dataset.Columns = rows, columns
    return saved(dataset, path)


def test_a_smaller_limit_is_kept_to_the_voxel(tmp_path):
    series(tmp_path / "series", head())
    enhanced(tmp_path / "enhanced.dcm", head())
    for files in (files_in(tmp_path / "series"), [tmp_path / "enhanced.dcm"]):
        with pytest.raises(UnreadableScanError, match=r"10 × 12 × 5 voxels.*\(599: --max-voxels\)"):
            read_series(files, at_most(599))
        assert read_series(files, at_most(600))[0].grid.shape == (10, 12, 5)


def test_a_larger_limit_is_honoured(tmp_path):
    path = saved_with_a_claim(tmp_path / "large", rows=24_000, columns=24_000)
    source = Source(path, (path,))
    with pytest.raises(UnreadableScanError, match=r"24,000 × 24,000 × 1 voxels.*--max-voxels"):
        claim_of(source, USUAL)
    assert claim_of(source, at_most(2**30)).shape == (24_000, 24_000, 1)
    # Past the headers now: what is wrong is that it claims pixels that are not there.
    with pytest.raises(UnreadableScanError, match="not valid DICOM, or it is damaged"):
        read_series([path], at_most(2**30))


def test_a_scan_that_claims_too_much_is_refused_before_its_pixels_are_read(tmp_path):
    path = saved_with_a_claim(tmp_path / "large", rows=65_535, columns=65_535)
    tracemalloc.start()
    with pytest.raises(UnreadableScanError, match="65,535 × 65,535 × 1 voxels"):
        read_series([path])
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_slices_that_a_file_holds_many_times_count_each_time(tmp_path):
    dataset = enhanced(tmp_path / "mf.dcm", np.repeat(head(shape=(1, 12, 10)), 5, axis=0))
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient = [-20, -30, 40]
    path = saved(dataset, tmp_path / "mf.dcm")
    assert read_series([path], at_most(600))[0].grid.shape == (10, 12, 1)
    with pytest.raises(UnreadableScanError, match=r"mf\.dcm claims 10 × 12 × 5 voxels"):
        read_series([path], at_most(599))


def test_a_document_has_no_pixel_data(tmp_path):
    dataset = base(sop_class=EncapsulatedPDFStorage, modality="DOC")
    dataset.EncapsulatedDocument = b"%PDF-1.4"
    assert "has no pixel data" in refusal([saved(dataset, tmp_path / "report.dcm")])


def test_a_film_is_no_volume(tmp_path):
    dataset = with_pixels(base(modality="US"), head(), bits=8)
    dataset.NumberOfFrames = 5
    assert "no position in space" in refusal([saved(dataset, tmp_path / "cine.dcm")])


def test_a_claim_of_very_many_frames_costs_no_memory(tmp_path):
    dataset = with_pixels(base(modality="US"), np.zeros((1, 1)), bits=8)
    dataset.NumberOfFrames = 2**29
    path = saved(dataset, tmp_path / "bomb.dcm")
    tracemalloc.start()
    assert "no position in space for its 536,870,912 frames" in refusal([path])
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_what_is_not_dicom_is_refused_in_one_sentence(tmp_path):
    for name, content in {
        "empty.dcm": b"",
        "text.dcm": b"patient,score\n" * 50,
        "only_magic.dcm": bytes(128) + b"DICM",
        "noise.dcm": bytes(128) + b"DICM" + np.random.default_rng(0).bytes(4000),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert refusal([tmp_path / name]).startswith(name)


def test_a_file_deflated_as_a_whole_is_refused(tmp_path):
    [dataset] = series(tmp_path, head(shape=(1, 12, 10)))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "deflated.dcm", enforce_file_format=True)
    assert "compressed as a whole" in refusal([tmp_path / "deflated.dcm"])


@pytest.mark.parametrize(
    "syntax", [None, *LOSSLESS], ids=lambda syntax: getattr(syntax, "name", "")
)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, syntax, capfd):
    series(tmp_path, textured((1, 64, 48)), syntax=syntax)
    whole = files_in(tmp_path)[0].read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in {*range(0, len(whole) - 8, 211), len(whole) - 9}:
        cut.write_bytes(whole[:length])
        refusal([cut])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_mutated_bytes_are_refused_or_read_without_a_word(tmp_path, syntax, capfd):
    series(tmp_path, textured((1, 64, 48)), syntax=syntax)
    whole = files_in(tmp_path)[0].read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        mutated = bytearray(whole)
        for at in rng.integers(128, len(whole), 4):
            mutated[at] = rng.integers(256)
        (tmp_path / "mutated.dcm").write_bytes(mutated)
        with contextlib.suppress(UnreadableScanError):
            assert np.isfinite(read([tmp_path / "mutated.dcm"])[0].voxels).all()
    assert capfd.readouterr() == ("", "")


def test_a_malformed_value_is_not_quoted(tmp_path):
    series(tmp_path, head(shape=(1, 12, 10)))
    path = files_in(tmp_path)[0]
    content = bytearray(path.read_bytes())
    value = content.index(b"\x28\x00\x53\x10DS") + 8  # after tag, kind and length: the slope
    content[value : value + 2] = b"KZ"
    path.write_bytes(content)
    assert "KZ" not in refusal([path])


def test_names_with_line_breaks_are_read(tmp_path):
    series(tmp_path, head(), name="slice\n{}.dcm")
    np.testing.assert_array_equal(volume_of(tmp_path).voxels[0], head() - 1024)


def test_the_mask_lies_on_the_scan_s_own_voxels(tmp_path):
    import nibabel

    stored = head()
    series(tmp_path, stored, directions=SAGITTAL)
    volume = volume_of(tmp_path)
    content = nifti.encode_mask(volume.voxels[0] > volume.voxels[0].mean(), volume)
    (tmp_path / "mask.nii.gz").write_bytes(content)
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    bright = stored.transpose(2, 1, 0) > stored.mean()  # column, row, slice
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), bright)
    np.testing.assert_allclose(mask.affine, affine_of(volume))
    header = io.BytesIO(mask.header.binaryblock).getvalue()
    assert not any(secret.encode() in header for secret in SECRETS.values())


def test_values_that_lie_in_other_than_the_lowest_bits_are_refused(tmp_path):
    """pydicom would take the lowest ones for the value."""

    def to_the_left(dataset, at):
        dataset.BitsStored, dataset.HighBit = 12, 15
        shifted = np.frombuffer(dataset.PixelData, np.uint16) << 4
        dataset.PixelData = shifted.tobytes()

    series(tmp_path, head(), change=to_the_left)
    with pytest.raises(UnreadableScanError, match="its 12 bits up to bit 15 of each value"):
        read(sorted(tmp_path.iterdir()))
