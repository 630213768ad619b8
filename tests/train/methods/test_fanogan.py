import pytest
import torch
from torch import nn
from torch.nn import functional

from train.methods.fanogan import FAnoGan, FAnoGanConfig, gradient_penalty
from train.networks.residual import DownConv, UpConv

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (-1.0, 1.0),
    "width": 4,
    "latent": 8,
    "critic_norm": "layer",
    "encoder_norm": "batch",
    "encoder_latents": "sphere",
    "encoder_loss": "izi_f",
    "feature_weight": 1.0,
    "penalty_weight": 10.0,
    "penalty_precision": "32-true",
    "critic_steps": 2,
    "gan_learning_rate": 1e-3,
    "gan_betas": (0.0, 0.9),
    "encoder_optimizer": "rmsprop",
    "encoder_learning_rate": 1e-3,
    "batch_size": 4,
    "gan_steps": 2,
    "encoder_steps": 2,
    "steps_per_record": 1,
    "validate_every": 1,
}


def config(**changes):
    return FAnoGanConfig(**(TINY | changes))


def fanogan(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return FAnoGan(config(**changes), channels, image_size)


def images(count=4, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.manual_seed(1)) * 2 - 1


class LinearCritic(nn.Module):
    """Its gradient is its weight, whatever the image."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images):
        return (images * self.weight).flatten(1).sum(dim=1, keepdim=True)


def test_the_penalty_of_a_linear_critic_is_how_far_its_slope_is_from_one():
    weight = torch.randn(2, 5, 6)
    penalty = gradient_penalty(
        LinearCritic(weight), torch.randn(7, 2, 5, 6), torch.randn(7, 2, 5, 6)
    )
    torch.testing.assert_close(penalty, (weight.norm() - 1) ** 2)


def test_each_image_has_its_own_point_and_norm_over_all_its_values():
    class Half(nn.Module):
        """‖x‖²/2, whose gradient at a point is the point: it shows which points were taken."""

        def forward(self, images):
            self.points = images.detach()
            return images.square().flatten(1).sum(dim=1) / 2

    critic = Half()
    real, generated = torch.zeros(6, 2, 3, 4), torch.ones(6, 2, 3, 4)
    penalty = gradient_penalty(critic, real, generated)
    shares = critic.points.flatten(1)
    assert torch.all(shares == shares[:, :1])  # one share per image, whatever the channel or pixel
    assert len(shares[:, 0].unique()) == 6
    torch.testing.assert_close(penalty, (shares.norm(dim=1) - 1).square().mean())


def test_the_penalty_by_hand_is_of_each_image_and_over_channels_and_pixels_together():
    class Half(nn.Module):
        """‖x‖²/2: the gradient at an image is the image."""

        def forward(self, images):
            return images.square().flatten(1).sum(dim=1) / 2

    # Two channels of 1 × 2 pixels; real equals generated, so that every point between is the image.
    pair = torch.tensor([[[[3.0, 0.0]], [[0.0, 4.0]]], [[[0.0, 0.0]], [[2.0, 0.0]]]])
    # Norms 5 and 2; by channel they would be 3, 4, 0 and 2, over the batch √29.
    assert gradient_penalty(Half(), pair, pair) == ((5 - 1) ** 2 + (2 - 1) ** 2) / 2


def test_the_critic_learns_from_the_penalty():
    critic = LinearCritic(torch.full((1, 2, 2), 2.0))  # a slope of norm 4
    gradient_penalty(critic, torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)).backward()
    # d(‖w‖ − 1)²/dw = 2 (‖w‖ − 1) w / ‖w‖
    torch.testing.assert_close(critic.weight.grad, torch.full((1, 2, 2), 3.0))


def test_the_penalty_in_half_precision_is_close_to_that_in_full():
    critic = fanogan(critic_norm="none").critic
    real, generated = images(8), images(8).flip(0)
    torch.manual_seed(2)
    full = gradient_penalty(critic, real, generated)
    torch.manual_seed(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = gradient_penalty(critic, real, generated)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.02, atol=0)  # bfloat16 keeps 8 bits


@pytest.mark.parametrize(("mixed", "meant"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_the_penalty_in_the_precision_of_the_rest(mixed, meant):
    def penalty(precision):
        model = fanogan(penalty_precision=precision)
        torch.manual_seed(2)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            return model.critic_loss(images()).penalty

    assert penalty("auto") == penalty(meant)
    other = {"bf16-mixed", "32-true"} - {meant}
    assert penalty("auto") != penalty(*other)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_critic_judges_each_image_by_itself_even_in_training(norm):
    critic = fanogan(critic_norm=norm).critic.train()
    some = images(5)
    torch.testing.assert_close(critic(some)[:1], critic(some[:1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_critic_has_no_layer_that_couples_a_batch_or_drops_at_random(norm):
    coupling = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    assert not [it for it in fanogan(critic_norm=norm).critic.modules() if isinstance(it, coupling)]


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_critics_gradient_at_an_image_does_not_depend_on_its_neighbours(norm):
    critic = fanogan(critic_norm=norm).critic.train()

    def gradient_at(some):
        some = some.clone().requires_grad_()
        return torch.autograd.grad(critic(some).sum(), some)[0]

    torch.testing.assert_close(
        gradient_at(images(5))[:1], gradient_at(images(5)[:1]), atol=1e-6, rtol=1e-5
    )


def test_a_layer_norm_of_the_batch_is_refused_in_the_critic_by_its_type():
    assert "batch" not in FAnoGanConfig.__annotations__["critic_norm"].__args__


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (128, 128), (256, 256)])
def test_any_power_of_two_size_and_any_channels_are_redrawn(channels, image_size):
    model = fanogan(channels, image_size, width=2).eval()
    found = model.findings(images(2, channels, image_size))
    assert found.reconstruction.shape == (2, channels, *image_size)
    assert found.reconstruction.abs().max() <= 1
    assert {name: part.shape for name, part in found.parts.items()} == {
        "features": (2,),
        "latent": (2,),
    }


def test_the_generator_has_a_residual_block_per_doubling_and_batch_norm():
    generator = fanogan(image_size=(64, 64)).generator
    assert len(generator.blocks) == 4
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules())
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-5}


def test_findings_are_the_same_whatever_the_neighbours():
    model = fanogan().eval()
    some = images(5)
    alone, among = model.findings(some[:1]), model.findings(some)
    torch.testing.assert_close(alone.evidence, among.evidence[:1], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.parts["latent"], among.parts["latent"][:1])


@pytest.mark.parametrize("encoder_optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize("encoder_loss", ["izi_f", "izi", "ziz"])
def test_the_encoders_loss_falls_on_a_fixed_batch(encoder_loss, encoder_optimizer):
    model = fanogan(
        encoder_loss=encoder_loss, encoder_optimizer=encoder_optimizer, encoder_learning_rate=3e-3
    )
    model.train()
    model.freeze_gan()
    optimizer = model.optimizers()["encoder"]
    losses = []
    for _ in range(25):
        torch.manual_seed(3)  # ziz draws latents
        loss = model.training_loss(images()).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def latents(where):
    model = fanogan(encoder_norm="none", encoder_latents=where).eval()
    nn.init.constant_(model.encoder.to_output.bias, 5.0)
    return model.encode(images())


def test_tanh_keeps_latents_within_one_sigma():
    assert latents("tanh").abs().max() <= 1 < latents("free").abs().max()


def test_a_sphere_keeps_latents_where_those_lie_that_the_generator_knows():
    model = fanogan()
    drawn = model.fixed_latents(1000).square().sum(dim=1).mean()
    on_it = latents("sphere").square().sum(dim=1)
    torch.testing.assert_close(on_it, torch.full_like(on_it, model.config.latent))
    assert drawn.item() == pytest.approx(model.config.latent, rel=0.05)


def test_on_a_sphere_only_the_direction_of_latents_changes():
    torch.testing.assert_close(
        nn.functional.normalize(latents("sphere")), nn.functional.normalize(latents("free"))
    )


def test_an_encoder_that_says_nothing_is_no_division_by_zero():
    model = fanogan(encoder_norm="none", encoder_latents="sphere").eval()
    nn.init.zeros_(model.encoder.to_output.weight)
    nn.init.zeros_(model.encoder.to_output.bias)
    assert model.encode(images()).abs().max() == 0


def test_other_ranges_and_ragged_records_are_refused():
    with pytest.raises(ValueError, match="intensity_range"):
        config(intensity_range=(0.0, 1.0))
    with pytest.raises(ValueError, match="gan_steps"):
        config(gan_steps=3, steps_per_record=2)


def test_fused_resizing_convolutions_equal_the_two_steps_they_stand_for():
    features = torch.randn(2, 5, 8, 6)
    down, up = DownConv(5, 7), UpConv(5, 7)
    conv = functional.conv2d(features, down.weight, down.bias, padding=1)
    torch.testing.assert_close(down(features), functional.avg_pool2d(conv, 2))
    twice = functional.interpolate(features, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(up(features), functional.conv2d(twice, up.weight, padding=1))
