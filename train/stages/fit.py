"""Stage `fit`: one method, one study → the weights and score recipe best on validation.

`python -m train.stages.fit params.yaml cae`. The protocol is the study's: of all looks at the
validation images, the model and recipe with the highest AUROC are kept; where no validation image
is abnormal, the lowest validation loss and the first recipe. Test images are never seen here.
"""

import sys
from typing import Any

import torch
from lightning_fabric import Fabric

from train.augment import Augmentation, AugmentConfig
from train.batches import Batches
from train.command import run_stage
from train.data import DataConfig, data_hash, load_images
from train.params import BadParamsError, Params
from train.recipes import Recipe, find
from train.scores import ScoreRecipe
from train.seeding import seed_everything
from train.session import Session
from train.task import Images, Task
from train.validation import as_tensor


def fit(params: Params, method: str) -> None:
    """Fit, keep the best, report; goes on where an equal fit was interrupted."""
    recipe = find(method)
    task = task_of(params, recipe, method)
    fabric = open_fabric(task.config)
    images = open_images(task, fabric.device)
    seed_everything(task.config.seed)
    model = recipe.model(task.config, task.channels, task.image_size)
    model = model.to(fabric.device, memory_format=torch.channels_last)
    seed_everything(task.config.seed + fabric.global_rank)  # equal weights, different batches
    batches = Batches(
        images.train,
        task.config.batch_size // fabric.world_size,
        change=Augmentation(task.augment, task.channels),
        intensity_range=task.config.intensity_range,
        device=fabric.device,
    )
    session = Session(task, recipe, fabric, model, batches, images)
    session.resume()
    run = session.open_run()
    try:
        session.run_records(run)
        session.keep(run)
    except BaseException:
        run.finish("FAILED")
        raise
    run.finish()


def task_of(params: Params, recipe: Recipe, method: str) -> Task:
    """What a params file asks for."""
    data = params.block(DataConfig, "data")
    scores = params.blocks(ScoreRecipe, "scores")
    return Task(
        study=params.study,
        method=method,
        config=params.block(recipe.config, "fit", method),
        augment=params.block(AugmentConfig, "augment"),
        scores=scores,
        channels=data.channels,
        image_size=data.image_size,
        data_hash=data_hash(params.study),
    )


def open_fabric(config: Any) -> Fabric:
    """Device, precision and processes; each process goes on from here by itself.

    Raises:
        BadParamsError: this machine lacks the device, or the batch cannot be shared out.
    """
    if config.batch_size % config.devices:
        raise BadParamsError(
            f"batch_size {config.batch_size} cannot be shared by {config.devices} processes",
            hint="make it a multiple of devices",
        )
    if config.device == "cuda" and not torch.cuda.is_available():
        raise BadParamsError("device cuda is not available here", hint="use device: auto")
    fabric = Fabric(
        accelerator=config.device,
        devices=config.devices,
        strategy="ddp" if config.devices > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    return fabric


def open_images(task: Task, device: torch.device) -> Images:
    """The prepared training and validation images."""
    train, _ = load_images(task.study, "train")
    validation, abnormal = load_images(task.study, "validation")
    return Images(
        train=train,
        validation=as_tensor(validation, task.config.intensity_range, device),
        abnormal=abnormal,
    )


if __name__ == "__main__":
    sys.exit(run_stage(fit, sys.argv[1:]))
