"""`--executor ray` with everything in a store: what a run here gives."""

import pytest

from infer.batch import score_folder
from infer.interruption import Interruption
from infer.progress import Silence
from infer.storage.address import place_of
from tests.infer.run_options import options
from tests.infer.storage.kept import in_folder, in_store

pytest.importorskip("ray")


def test_a_cluster_fetches_and_puts_by_itself(bucket, scans, tiny_model, tmp_path):
    def run(folder, model, out, **changed):
        return score_folder(
            place_of(str(folder)),
            model,
            place_of(str(out)),
            options(**changed),
            progress=Silence(),
            interruption=Interruption(),
        ).counts

    model = bucket.put("tiny.onnx", tiny_model.read_bytes())
    address = bucket.upload(scans, "scans")
    out = f"{bucket.url}/results/one"
    assert run(address, model, out, executor="ray", workers=1).ok == 7
    run(scans, tiny_model, tmp_path / "here")
    assert in_store(bucket) == in_folder(tmp_path / "here")
    assert run(address, model, out).resumed == 7
