"""Stage `fit`: one method, one study → the weights and score recipe best on validation.

`python -m train.stages.fit params.yaml cae`. The protocol is the study's: of all looks at the
validation images, the model and recipe with the highest AUROC are kept; where no validation image
is abnormal, or the method learns from labels, the lowest validation loss. Test images are never
seen here.
"""

import json
import sys

import numpy as np

from train.command import run_stage
from train.data import data_hash, load_images, not_replaced
from train.fitting import fitted, shared_of, task_of, told_of, training_images
from train.keeper import Keeper, Rule
from train.params import Params
from train.paths import checkpoint_path, report_folder
from train.recipes import find
from train.same_numbers import refuse_other_numbers


def fit(params: Params, method: str) -> None:
    """Fit, keep the best, report; goes on where an equal fit was interrupted.

    Raises:
        BadParamsError: images would be made otherwise than those that are prepared.
        UadError: there are none, or another process fits this method.
    """
    path = checkpoint_path(params.study, method)
    refuse_other_numbers(params)
    with not_replaced(params.study):
        prepared = data_hash(params.study)
        train, train_abnormal = training_images(params.study, method)
        validation, abnormal = load_images(params.study, "validation")
    shared = shared_of(params, method, prepared, folder=path.parent)
    task = task_of(params, method, prepared, shared)
    rule: Rule = "loss" if find(method).supervised else "auroc"
    keeper = Keeper(name="best", rule=rule, score="", rows=np.arange(len(abnormal)))
    with fitted(
        task,
        shared=shared,
        train=train,
        train_abnormal=train_abnormal,
        validation=validation,
        abnormal=abnormal,
        keepers=[keeper],
        resume_path=path.with_suffix(".resume"),
        run_name=method,
        parent_run="",
        told=told_of(params),
    ) as (session, run):
        result = session.keep(run, keeper, path, pictures=True)
        if session.fabric.is_global_zero:
            report = report_folder(params.study, "fit") / f"{method}.json"
            report.parent.mkdir(parents=True, exist_ok=True)
            noted = result | {"shared_networks": bool(shared)}
            report.write_text(json.dumps(noted, indent=2) + "\n")
        session.forget()


if __name__ == "__main__":
    sys.exit(run_stage(fit, sys.argv[1:]))
