"""Which numbers a fit computes in, on processors and GPUs that are only described here."""

from types import SimpleNamespace

import pytest
import torch

from train import precision
from train.precision import device_type, resolve, warning_of
from train.processes import open_fabric


@pytest.fixture
def processor(monkeypatch):
    """A processor with exactly these capabilities."""

    def has(*names):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True))

    return has


@pytest.mark.parametrize("capability", ["amx_bf16", "avx512_bf16"])
def test_auto_takes_bfloat16_where_the_processor_computes_in_it(processor, capability):
    processor("avx2", capability)
    assert resolve("auto", "cpu") == "bf16-mixed"


@pytest.mark.parametrize("capability", ["avx2", "avx512_f", "neon"])
def test_auto_keeps_to_float32_where_it_would_be_emulated(processor, capability):
    processor(capability)
    assert resolve("auto", "cpu") == "32-true"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_on_a_gpu_emulation_does_not_count(monkeypatch, native, expected):
    def supported(including_emulation=True):
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve("auto", "cuda") == expected


def test_what_is_asked_for_by_name_is_had_and_emulation_is_said(processor):
    processor("avx2")
    assert resolve("bf16-mixed", "cpu") == "bf16-mixed"
    assert "emulates bfloat16" in warning_of("bf16-mixed", "cpu")
    assert [warning_of(it, "cpu") for it in ("auto", "32-true")] == ["", ""]


def test_nothing_is_said_of_bfloat16_that_is_computed_in(processor):
    processor("amx_bf16")
    assert warning_of("bf16-mixed", "cpu") == ""


@pytest.mark.parametrize("found", [None, torch.device("cuda")])
def test_auto_is_the_accelerator_if_there_is_one(monkeypatch, found):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: found)
    assert device_type("auto") == ("cpu" if found is None else "cuda")
    assert device_type("cpu") == "cpu"


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_fit_computes_in_what_auto_chose(monkeypatch, native, dtype):
    monkeypatch.setattr(precision, "computes_bf16", lambda device: native)
    fabric = open_fabric(SimpleNamespace(batch_size=2, devices=1, device="cpu", precision="auto"))
    with fabric.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
