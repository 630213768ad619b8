import onnxruntime
import pytest
import torch
from sklearn.mixture import GaussianMixture

from export.graph import ExportedGraph
from export.onnx_file import to_onnx
from train.methods.gmvae import Gmvae, GmvaeConfig
from train.methods.method import AnomalyModel
from train.methods.vae import Vae, VaeConfig
from train.scores import Scorer, ScoreRecipe

COMMON = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "features": (4, 8),
    "latent": 6,
    "variance": 0.01,
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}
MIXTURE = {"components": 3, "warm_up": 1, "variance_floor": 0.01}


def gmvae(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Gmvae(GmvaeConfig(**(COMMON | MIXTURE | changes)), channels, image_size)


def images(count=4, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.Generator().manual_seed(1))


def test_with_one_component_its_loss_and_scores_are_a_vaes():
    mixed = gmvae(components=1)
    plain = Vae(VaeConfig(**COMMON, spatial_dims=2, anomaly_map="residual"), 1, (32, 32))
    plain.network.load_state_dict(mixed.network.state_dict())
    losses = []
    for model in (mixed, plain):
        torch.manual_seed(5)
        losses.append(model.training_loss(images()).total)
    torch.testing.assert_close(*losses)
    ours, theirs = mixed.findings(images()), plain.findings(images())
    torch.testing.assert_close(ours.evidence, theirs.evidence)
    for part in ("likelihood", "kl"):
        torch.testing.assert_close(ours.parts[part], theirs.parts[part])


def test_the_loss_is_the_sum_of_its_three_terms():
    loss = gmvae().training_loss(images())
    assert loss.terms.keys() == {"likelihood", "latents", "membership"}
    torch.testing.assert_close(loss.total, sum(loss.terms.values()))


@torch.no_grad()
def test_energy_is_that_of_scikit_learns_mixture_at_the_mean_latents():
    model = gmvae().eval()
    for parameter in model.prior.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    mixture = GaussianMixture(3, covariance_type="diag")
    mixture.weights_ = model.prior.log_weights.exp().double().numpy()
    mixture.means_ = model.prior.means.double().numpy()
    mixture.covariances_ = model.prior.variances.double().numpy()
    mixture.precisions_cholesky_ = mixture.covariances_**-0.5
    latents = model.network.encode(images()).mean
    expected = -torch.from_numpy(mixture.score_samples(latents.double().numpy()))
    found = model.findings(images()).parts["energy"]
    torch.testing.assert_close(found, expected.float())


def test_the_mixture_learns_with_the_networks():
    model = gmvae()
    torch.nn.init.normal_(model.prior.means)
    model.training_loss(images()).total.backward()
    for parameter in model.prior.parameters():
        assert parameter.grad.abs().max() > 0


def test_findings_leave_nothing_to_chance():
    model = gmvae()
    assert torch.equal(model.findings(images()).evidence, model.findings(images()).evidence)


def test_the_exported_file_finds_the_same():
    density = ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=False,
        smoothing_px=1,
        power=1,
        top_share=0.0,
        parts={"energy": 1.0},
        typicality="none",
    )
    model = gmvae(channels=2)
    torch.nn.init.normal_(model.prior.means)
    graph = ExportedGraph(model, Scorer(density))
    file = to_onnx(graph, images(2, channels=2)).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = ["anomaly_map", "score", "score_energy", "score_kl", "score_likelihood"]
    for count in (1, 3):
        some = images(count, channels=2)
        found = session.run(names, {"image": some.numpy()})
        with torch.no_grad():
            expected = graph.outputs(some)
        assert torch.equal(expected["score"], expected["score_energy"])
        for array, name in zip(found, names, strict=True):
            torch.testing.assert_close(
                torch.from_numpy(array), expected[name], atol=1e-5, rtol=1e-5
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"components": 0},
        {"warm_up": -1},
        {"warm_up": 2},
        {"variance_floor": 0.0},
        {"variance_floor": 1.0},
    ],
)
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        gmvae(**wrong)


def test_it_is_an_anomaly_model():
    assert isinstance(gmvae(), AnomalyModel)
