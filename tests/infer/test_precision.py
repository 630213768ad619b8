"""Which precision a file is computed in, and which is refused: by device, by wish, by file."""

import pytest

from infer.errors import UnknownChoiceError
from infer.precision import check_precision, precision_of

DEVICES = ("cpu", "cuda", "tensorrt", "openvino")


@pytest.mark.parametrize("device", DEVICES)
def test_a_file_in_fp32_is_computed_in_fp32_unless_less_is_asked_for(device):
    assert precision_of(None, device=device, variant=None) == "fp32"
    assert precision_of("fp32", device=device, variant=None) == "fp32"


@pytest.mark.parametrize("device", ["openvino", "tensorrt"])
@pytest.mark.parametrize("asked", ["bf16", "fp16"])
def test_two_engines_compute_a_file_in_fp32_in_less(device, asked):
    assert precision_of(asked, device=device, variant=None) == asked


@pytest.mark.parametrize(
    ("asked", "device"),
    [("fp16", "cpu"), ("fp16", "cuda"), ("bf16", "cpu"), *(("int8", it) for it in DEVICES)],
)
def test_a_file_in_fp32_is_never_silently_taken_for_another(asked, device):
    with pytest.raises(UnknownChoiceError) as refused:
        precision_of(asked, device=device, variant=None)
    assert str(refused.value) == f"precision {asked} cannot be had with device {device}"
    assert "export.stages.quantise makes files in fp16 and int8" in refused.value.hint


@pytest.mark.parametrize("variant", ["fp16", "int8"])
@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_variant_is_computed_in_its_own_precision_asked_for_or_not(variant, device):
    of_file = {"variant": variant, "runs_on": ("cpu", "openvino")}
    assert precision_of(None, device=device, **of_file) == variant
    assert precision_of(variant, device=device, **of_file) == variant


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_a_variant_in_another_precision_than_was_checked_is_refused(asked):
    with pytest.raises(UnknownChoiceError) as refused:
        precision_of(asked, device="openvino", variant="int8", runs_on=("cpu", "openvino"))
    assert str(refused.value) == f"precision {asked} cannot be had of a file in int8"
    assert "--describe says which" in refused.value.hint


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "openvino"])
def test_a_variant_runs_only_where_it_may(device):
    with pytest.raises(UnknownChoiceError, match=f"int8 cannot be had with device {device}") as no:
        precision_of(None, device=device, variant="int8", runs_on=("cpu",))
    assert "found to be as good on cpu only" in no.value.hint


def test_what_a_file_may_be_in_is_not_refused_before_the_file_is_known():
    for device in ("auto", "cpu", "cuda"):
        assert check_precision("fp16", device=device) == "fp16"
        with pytest.raises(UnknownChoiceError, match="bf16 cannot be had"):
            check_precision("bf16", device=device)
