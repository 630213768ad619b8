from dataclasses import replace

import pytest
import torch
from monai.visualize import GradCAM
from safetensors.torch import save_file
from torch.nn import functional

from infer.errors import BadModelError, UnknownChoiceError
from train.methods.densenet import DenseNet, DenseNetConfig
from train.methods.method import LabelledModel

CONFIG = DenseNetConfig(
    seed=0,
    device="cpu",
    devices=1,
    precision="32-true",
    intensity_range=(0.0, 1.0),
    channel_mean=(),
    channel_std=(),
    weights="",
    learning_rate=1e-3,
    momentum=0.9,
    batch_size=4,
    epochs=2,
    patience=0,
    validate_every=1,
)
MIXED = torch.tensor([True, False, False, True])


def densenet(channels=1, image_size=(64, 64), **changes):
    torch.manual_seed(0)
    return DenseNet(replace(CONFIG, **changes), channels, image_size)


def images(count=4, channels=1, image_size=(64, 64)):
    return torch.rand(count, channels, *image_size, generator=torch.manual_seed(1))


def seen(**shape):
    """A model whose BatchNorm has seen images and whose map has both signs somewhere."""
    model = densenet(**shape).train()
    with torch.no_grad():
        for _ in range(3):
            model.network(images(8, **shape))
        model.network.class_layers.out.weight.copy_(torch.randn(1, 1024))
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return seen(image_size=(96, 64))


def test_its_map_is_monais_grad_cam_on_the_last_feature_map_after_its_relu(model):
    batch = images(3, image_size=(96, 64))
    evidence = model.findings(batch).evidence.detach()
    monai = GradCAM(model.network, "class_layers.relu", postprocessing=lambda cam: cam)
    cam = monai(batch, class_idx=0).detach()
    assert cam.amax() > 0
    assert cam.amin() == 0
    pixels = 3 * 2  # of the last feature map: Grad-CAM's gradient is that of a mean
    torch.testing.assert_close(evidence, cam * pixels, rtol=1e-4, atol=1e-5)


def test_its_logit_is_the_networks_and_its_probability_the_logits(model):
    batch = images(3, image_size=(96, 64))
    with torch.no_grad():
        parts, logits = model.findings(batch).parts, model.network(batch)[:, 0]
    torch.testing.assert_close(parts["logit"], logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts["probability"], torch.sigmoid(logits), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "image_size"), [(2, (32, 32)), (3, (224, 224))])
def test_any_multiple_of_32_pixels_and_any_channels_give_a_map_of_the_images_size(
    channels, image_size
):
    with torch.no_grad():
        found = densenet(channels, image_size).eval().findings(images(1, channels, image_size))
    assert found.evidence.shape == (1, 1, *image_size)
    assert found.reconstruction is None


def test_the_rarer_class_weighs_more_and_both_weigh_the_same_together():
    model = densenet()
    model.begin(torch.tensor([True] * 2 + [False] * 8))
    normal, abnormal = model.class_weights.tolist()
    assert abnormal == pytest.approx(4 * normal)
    assert 8 * normal + 2 * abnormal == pytest.approx(10)


def test_its_loss_is_the_cross_entropy_of_two_classes_weighted_by_class():
    model = densenet().eval()
    model.begin(torch.tensor([True, False, False]))
    logits = model.network(images())[:, 0]
    losses = functional.binary_cross_entropy_with_logits(logits, MIXED.float(), reduction="none")
    weights = torch.where(MIXED, 1.5, 0.75)
    by_hand = (weights * losses).sum() / weights.sum()
    torch.testing.assert_close(model.labelled_loss(images(), MIXED).total, by_hand)
    torch.testing.assert_close(model.loss_of(model.findings(images()), MIXED), by_hand)


def test_the_loss_falls_on_a_fixed_batch_with_labels():
    model = densenet(image_size=(32, 32))
    model.begin(MIXED)
    optimizer = model.optimizers()["model"]
    batch = images(image_size=(32, 32))
    losses = []
    for _ in range(15):
        loss = model.labelled_loss(batch, MIXED).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_it_learns_from_labels():
    assert isinstance(densenet(), LabelledModel)


def as_torchvision(model, *, oldest=False):
    """A model's features as a file of torchvision names them, with a head of its own."""
    weights = {"classifier.weight": torch.zeros(1000, 1024), "classifier.bias": torch.zeros(1000)}
    for name, tensor in model.network.features.state_dict().items():
        name = name.replace(".layers.", ".")
        if oldest:
            if "num_batches" in name:
                continue
            for part in ("norm", "conv"):
                for number in "12":
                    name = name.replace(f".{part}{number}.", f".{part}.{number}.")
        weights[f"features.{name}"] = tensor
    return weights


@pytest.mark.parametrize("oldest", [False, True], ids=["newer names", "oldest names"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_fit_begins_with_torchvisions_weights_where_a_file_of_them_is_given(
    tmp_path, oldest, suffix
):
    source = densenet(channels=3)
    path = tmp_path / f"densenet121{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(
        as_torchvision(source, oldest=oldest), path
    )
    torch.manual_seed(5)
    model = DenseNet(replace(CONFIG, weights=str(path)), 3, (64, 64))
    head = model.network.class_layers.out.weight.clone()
    model.begin(MIXED)
    loaded = model.network.features.state_dict()
    for name, tensor in source.network.features.state_dict().items():
        assert torch.equal(loaded[name], tensor)
    torch.testing.assert_close(model.network.class_layers.out.weight, head)  # not of the file


def test_a_fitted_model_is_rebuilt_without_the_file_it_began_with():
    densenet(weights="no/such/file.pth")


def refusal(path, weights, channels=3):
    """What is said when a fit should begin with these weights."""
    if weights is not None:
        torch.save(weights, path)
    model = densenet(channels, weights=str(path))
    with pytest.raises(BadModelError) as refused:
        model.begin(MIXED)
    return f"{refused.value} {refused.value.hint}"


def test_weights_for_colour_are_refused_by_a_network_for_grey_in_words(tmp_path):
    said = refusal(tmp_path / "w.pth", as_torchvision(densenet(channels=3)), channels=1)
    assert "conv0.weight" in said
    assert "data.channels to 3" in said


def test_a_file_that_does_not_fit_is_refused_in_words(tmp_path):
    weights = as_torchvision(densenet(channels=3))
    lacking = {name: it for name, it in weights.items() if name != "features.norm5.weight"}
    assert "lacks norm5.weight" in refusal(tmp_path / "a.pth", lacking)
    other = weights | {"features.denseblock4.denselayer17.conv1.weight": torch.zeros(1)}
    assert "denselayer17" in refusal(tmp_path / "b.pth", other)
    assert "state_dict()" in refusal(tmp_path / "c.pth", {"epoch": 3})
    assert "not a readable file of weights" in refusal(tmp_path / "none.pth", None)
    (tmp_path / "text.pth").write_text("no weights")
    assert "not a readable file of weights" in refusal(tmp_path / "text.pth", None)
    (tmp_path / "text.safetensors").write_text("no weights")
    assert "not a readable file of weights" in refusal(tmp_path / "text.safetensors", None)


@pytest.mark.parametrize(
    "wrong", [{"channel_mean": (0.5,)}, {"channel_mean": (0.5,), "channel_std": (0.0,)}]
)
def test_standardisation_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="channel_std"):
        replace(CONFIG, **wrong)


def test_a_mean_for_other_channels_is_refused():
    with pytest.raises(UnknownChoiceError, match="1 values for 3 channels"):
        densenet(3, channel_mean=(0.5,), channel_std=(0.2,))
