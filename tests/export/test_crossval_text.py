"""The cross validation in words: what it says of tables made by hand."""

from export import crossval_table, crossval_text
from tests.export import fold_results
from train.metrics import Bootstrap

CONFIG = Bootstrap(resamples=20, confidence=0.9, seed=0)


def table(*methods):
    results = [it for one in methods for it in one]
    values = crossval_table.values_of(results)
    summaries = crossval_table.summaries_of(results, values, CONFIG)
    compared = crossval_table.tests_of(values, metric="auroc", test_to_train=0.5)
    return crossval_text.to_markdown(results, summaries, compared, study="s", config=CONFIG)


def test_a_method_that_a_baseline_beats_is_called_that():
    text = table(fold_results.many("cae", 0.0), fold_results.many("mean_image", 2.0, trivial=True))
    assert "**cae (AUROC" in text
    assert "is no better than the trivial mean_image (1.000)" in text
