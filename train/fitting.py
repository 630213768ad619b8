"""One fit from its task: device, model, batches and keepers, run to its end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from infer.errors import UadError
from train import tracking
from train.alone import alone_at
from train.augment import Augmentation, AugmentConfig
from train.batches import LAYOUTS, Batches, scale_of
from train.bounds import refuse_reversed
from train.data import DataConfig, PreparedAnewError, open_images
from train.keeper import Keeper
from train.networks.common_norm import with_common_norm
from train.params import BadParamsError, Params
from train.patchwise import patches_of
from train.processes import agreed, of_each, open_fabric
from train.recipes import find
from train.scores import ScoreRecipe
from train.seeding import seed_everything, seed_process
from train.session import Session
from train.shared_networks import Weights, hash_of, load_shared, share
from train.spatial_dims import refuse_other_dims
from train.stored_images import StoredImages
from train.task import Images, Task, dotted
from train.validation import as_tensor


def shared_of(
    params: Params, method: str, data_hash: str, *, folder: Path, suffix: str = ""
) -> Weights:
    """The networks that a variant takes over from the fit of its method; {} for none.

    Args:
        folder: where the fit of that method left its checkpoint, under its name and `suffix`.

    Raises:
        BadParamsError: the variant's block does not name its method.
        BadModelError: the method has not been fitted, or to other data.
    """
    networks = find(method).shared
    if not networks:
        return {}
    if not (of := params.of("fit", method)):
        raise BadParamsError(
            f"{params.path}: fit.{method} lacks `of`",
            hint=f"name the method whose {' and '.join(networks)} it shares",
        )
    return load_shared(folder / f"{of}{suffix}.safetensors", networks, data_hash=data_hash)


def task_of(params: Params, method: str, data_hash: str, shared: Weights) -> Task:
    """What a params file asks for, on this data.

    Raises:
        BadParamsError: the method does not look at what the study's images are, or its
            intensity range is reversed.
    """
    refuse_other_dims(params, method)
    data = params.block(DataConfig, "data")
    config = params.block(find(method).config, "fit", method)
    refuse_reversed(config, where=f"{params.path}: fit.{method}")
    return Task(
        study=params.study,
        method=method,
        config=config,
        augment=params.block(AugmentConfig, "augment"),
        scores=params.blocks(ScoreRecipe, "scores"),
        channels=data.channels,
        image_size=data.image_size,
        data_hash=data_hash,
        shared=hash_of(shared),
        patches=patches_of(params, method),
    )


def told_of(params: Params) -> dict[str, Any]:
    """How a study's images were made and divided, for the run of a fit to them."""
    return dotted({name: params.values[name] for name in ("data", "split")})


def training_images(study: str, method: str) -> tuple[StoredImages, np.ndarray]:
    """The prepared images a method may train on, left on the disk, and which are abnormal.

    Raises:
        BadParamsError: it learns from labels, and no training image is abnormal.
    """
    images, abnormal = open_images(study, "train")
    if not find(method).supervised:
        return images.of(~abnormal), abnormal[~abnormal]
    if not abnormal.any():
        raise BadParamsError(
            f"{method} learns from labels, but no training image of study {study!r} is abnormal",
            hint="divide the study with `abnormals: folds` in its block split",
        )
    return images, abnormal


@contextmanager
def fitted(
    task: Task,
    *,
    shared: Weights,
    train: np.ndarray | StoredImages,
    train_abnormal: np.ndarray,
    validation: np.ndarray,
    abnormal: np.ndarray,
    keepers: Sequence[Keeper],
    resume_path: Path,
    run_name: str,
    parent_run: str,
    told: Mapping[str, Any],
) -> Iterator[tuple[Session, tracking.Run]]:
    """The session of a fit that has run to its end, and its run, open for what is yet to be told.

    It goes on where an equal fit was interrupted; whatever is raised inside fails the run.

    Args:
        shared: networks that it takes over from another fit.
        train: prepared images, as `validation`; they may be more than fit into memory.
        train_abnormal: which of the training images: none, but for methods that learn from labels.
        abnormal: which of the validation images.
        told: numbers by name that its run lists beside its own: `told_of`.

    Raises:
        UadError: another process fits this model, or those that fit it together read other data.
    """
    recipe, config = find(task.method), task.config
    fabric = open_fabric(config)
    _refuse_other_data(fabric, task)
    seed_everything(config.seed)
    model = recipe.model(config, task.channels, task.input_size)
    share(model, shared, recipe.shared)
    dims = len(task.input_size)
    if fabric.world_size > 1:
        with_common_norm(model)
    model = model.to(fabric.device, memory_format=LAYOUTS[dims])
    seed_process(config.seed, rank=fabric.global_rank, processes=fabric.world_size)
    batches = Batches(
        train,
        config.batch_size,
        change=Augmentation(task.augment, task.channels, dims),
        intensity_range=config.intensity_range,
        device=fabric.device,
        abnormal=train_abnormal,
        scale=scale_of(config),
        patches=task.patches,
    )
    images = Images(
        train=train,
        train_abnormal=train_abnormal,
        validation=scale_of(config).standardised(
            as_tensor(validation, config.intensity_range, fabric.device)
        ),
        abnormal=abnormal,
    )
    session = Session(task, recipe, fabric, model, batches, images, keepers, resume_path)
    with _alone(fabric, resume_path):
        session.resume()
        run = session.open_run(run_name, parent=parent_run, told=told)
        try:
            session.run_records(run)
            yield session, run
        except BaseException:
            run.finish("FAILED")
            raise
        run.finish()


def _refuse_other_data(fabric: Fabric, task: Task) -> None:
    """Each process reads by itself, the first before it starts the others."""
    if len(set(of_each(fabric, task.data_hash))) > 1:
        raise PreparedAnewError(task.study)


@contextmanager
def _alone(fabric: Fabric, path: Path) -> Iterator[None]:
    """Let no other fit write `path`: the first process holds it, for all that fit together."""
    with ExitStack() as held:
        refusal = ("", "")
        if fabric.is_global_zero:
            try:
                held.enter_context(alone_at(path))
            except UadError as error:
                refusal = str(error), error.hint
        message, hint = agreed(fabric, refusal)
        if message:
            raise UadError(message, hint=hint)
        yield
