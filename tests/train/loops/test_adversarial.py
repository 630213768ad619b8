import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from train.batches import Batches
from train.loops.adversarial import fit_adversarially
from train.methods.fanogan import FAnoGan, FAnoGanConfig

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (-1.0, 1.0),
    "width": 4,
    "latent": 8,
    "critic_norm": "none",
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
    "gan_steps": 4,
    "encoder_steps": 6,
    "steps_per_record": 2,
    "validate_every": 1,
}


def fitted(**changes):
    """A tiny f-AnoGAN and its records: two of the game, then three of the encoder."""
    torch.manual_seed(0)
    model = FAnoGan(FAnoGanConfig(**(TINY | changes)), 1, (32, 32))
    batches = Batches(
        np.random.default_rng(0).random((6, 1, 32, 32), np.float32),
        4,
        change=lambda images: images,
        intensity_range=(-1.0, 1.0),
        device=torch.device("cpu"),
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    records = range(model.config.records)
    return model, fit_adversarially(fabric, model, model.optimizers(), batches, records)


@pytest.fixture
def fitting():
    return fitted()


def state(*networks):
    return [tensor.clone() for network in networks for tensor in network.state_dict().values()]


def test_generator_and_critic_stay_bit_for_bit_while_the_encoder_learns(fitting):
    model, records = fitting
    game = [next(records), next(records)]
    before, encoder_before = state(model.generator, model.critic), state(model.encoder)
    rest = list(records)
    assert all(map(torch.equal, before, state(model.generator, model.critic)))
    assert not all(map(torch.equal, encoder_before, state(model.encoder)))
    assert [record.candidate for record in game + rest] == [False, False, True, True, True]


def test_the_generators_running_statistics_move_in_the_game_and_rest_with_the_encoder(fitting):
    model, records = fitting
    norms = [it for it in model.generator.modules() if isinstance(it, torch.nn.BatchNorm2d)]

    def seen():
        return [int(norm.num_batches_tracked) for norm in norms]

    next(records)
    after_one_stretch = seen()
    assert min(after_one_stretch) > 0
    next(records)
    after_the_game, means = seen(), [norm.running_mean.clone() for norm in norms]
    assert after_the_game > after_one_stretch
    for _ in records:
        assert seen() == after_the_game
        assert all(map(torch.equal, means, (norm.running_mean for norm in norms)))


def test_the_encoder_s_optimiser_holds_no_weight_of_generator_or_critic(fitting):
    model, _ = fitting
    (group,) = model.optimizers()["encoder"].param_groups
    assert {*map(id, group["params"])} == {*map(id, model.encoder.parameters())}


def test_the_game_changes_generator_and_critic_and_leaves_the_encoder(fitting):
    model, records = fitting
    generator, critic, encoder = (
        state(network) for network in (model.generator, model.critic, model.encoder)
    )
    record = next(records)
    assert not all(map(torch.equal, generator, state(model.generator)))
    assert not all(map(torch.equal, critic, state(model.critic)))
    assert all(map(torch.equal, encoder, state(model.encoder)))
    assert record.losses.keys() == {"critic_loss", "wasserstein", "penalty", "generator_loss"}


def test_the_encoder_tells_its_loss_and_the_terms_of_it(fitting):
    *_, record = fitting[1]
    assert record.losses.keys() == {
        "encoder_loss",
        "encoder_loss_image",
        "encoder_loss_features",
    }


def test_the_critic_is_shown_images_that_were_changed_in_all_digits():
    """What changes them would compute in bfloat16 within the game's autocast."""
    under = []
    torch.manual_seed(0)
    model = FAnoGan(FAnoGanConfig(**TINY), 1, (32, 32))

    def change(images):
        under.append(torch.is_autocast_enabled("cpu"))
        return images

    batches = Batches(
        np.random.default_rng(0).random((6, 1, 32, 32), np.float32),
        4,
        change=change,
        intensity_range=(-1.0, 1.0),
        device=torch.device("cpu"),
    )
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    records = range(model.config.records)
    assert len(list(fit_adversarially(fabric, model, model.optimizers(), batches, records))) == 5
    assert under
    assert not any(under)
