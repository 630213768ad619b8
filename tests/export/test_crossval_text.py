"""The cross validation in words: what it says of tables made by hand."""

from dataclasses import replace

from export import crossval_table, crossval_text
from export.fold_job import FoldJob
from tests.export import fold_results
from train.metrics import Bootstrap

CONFIG = Bootstrap(resamples=20, confidence=0.9, seed=0)


def table(*methods, missing=(), published=None, variants=None, leaks=()):
    results = [it for one in methods for it in one]
    values = crossval_table.values_of(results)
    summaries = crossval_table.summaries_of(results, values, CONFIG)
    compared = crossval_table.tests_of(values, metric="auroc", test_to_train=0.5)
    return crossval_text.to_markdown(
        results,
        summaries,
        compared,
        study="s",
        config=CONFIG,
        folds=2,
        missing=missing,
        beside=(),
        published=published or {},
        variants=variants or {},
        leaks=leaks,
    )


def row(text, method):
    """The cells of the first table's row of a method, by column."""
    lines = [it for it in text.splitlines() if it.startswith("|")]
    head, *_ = lines
    (found, *_) = [it for it in lines if it.strip("|* ").startswith(method)]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, found)]
    return dict(zip(*cells, strict=True))


def job(name, fold, *, grouped=False):
    return FoldJob(
        name=name, method=name, members=(), pool="", grouped=grouped, fold=fold, parent_run=""
    )


BASELINE = fold_results.many("mean_image", 0.2, trivial=True)


def test_a_method_that_a_baseline_beats_is_called_that():
    text = table(fold_results.many("cae", 0.0), fold_results.many("mean_image", 2.0, trivial=True))
    assert "**cae (AUROC" in text
    assert "is no better than the trivial mean_image (1.000)" in text


def test_each_row_says_how_many_of_its_results_it_has():
    text = table(fold_results.many("cae", 0.5), fold_results.many("vae", 0.5)[:1], BASELINE)
    assert row(text, "cae")["results"] == "4 of 4"
    assert row(text, "vae")["results"] == "2 of 4"
    assert row(text, "mean_image")["results"] == "4 of 4"


def test_a_method_that_lacks_a_fold_is_not_compared_with_what_has_it():
    text = table(fold_results.many("cae", 2.0), fold_results.many("vae", 2.0)[:1], BASELINE)
    assert "vae (AUROC 1.000) is not compared: no trivial baseline has the same results" in text
    assert "cae (AUROC 1.000) is not compared" not in text


def test_what_is_missing_is_said_at_the_top():
    missing = [job("vae", 1), *(job("dae", fold, grouped=True) for fold in (0, 1))]
    text = table(fold_results.many("cae", 0.5), BASELINE, missing=missing)
    top = text[: text.index("## ")]
    assert "- vae, as published (every slice by itself): 1 of 2 folds are missing" in top
    assert "- dae, groups kept together: 2 of 2 folds are missing" in top
    assert "Not finished" not in table(fold_results.many("cae", 0.5), BASELINE)


def test_one_grouping_alone_makes_no_table_of_the_other():
    grouped = [replace(it, grouped=True) for it in fold_results.many("cae", 0.5)]
    assert "as published" not in table(grouped)


def test_a_single_result_has_no_spread():
    (result, _) = fold_results.many("cae", 2.0)
    cell = row(table([replace(result, tests=result.tests[:1])]), "cae")["auroc"]
    assert cell.startswith("1.000 [")


def test_what_a_variants_fit_time_leaves_out_is_said():
    text = table(fold_results.many("fanogan-izi", 0.5), variants={"fanogan-izi": "fanogan"})
    assert "fit seconds of fanogan-izi leave out what it took over from fanogan" in text


def test_what_else_tells_the_labels_stands_before_the_tables():
    leak = "The size of a scan tells its label."
    before, *_ = table(fold_results.many("cae", 0.5), leaks=[leak]).split("## `study`")
    assert leak in before
