"""report.html as its reader meets it: opened from disk in Chromium, looked at and used."""

import csv
import os
from urllib.parse import urlsplit

import pytest

from infer.monitored_page import write_monitored
from infer.monitored_runs import read_runs
from infer.report_csv import Row
from infer.report_html import Results, write_page
from infer.shown import page_rows
from tests.end_to_end.browser import Browser, chromium
from tests.infer.test_batch import run
from tests.infer.test_monitored_runs import bright, usual, write_run
from tests.infer.test_report_html import RUN
from tests.infer.tiny_model import MANIFEST, write_tiny_model, write_tiny_scans

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="Chromium is spoken to through POSIX pipes"),
    pytest.mark.skipif(
        chromium() is None, reason="no Chromium here (Debian: apt install chromium)"
    ),
]
HOSTILE = (
    "<script>alert(1)<.png",
    "<img src=x onerror=alert(1)>.png",
    "a\"b'c & #d?e%41.png",
    "new\nline.png",
    "javascript:alert(1).png",
    "{{data}}.png",
    "not text \udcff.png",
    "turned \u202egnp.txt.png",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(chromium(), tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A run over good, hostile and broken scans, a picture of each."""
    place = tmp_path_factory.mktemp("run")
    scans = write_tiny_scans(place / "scans", pictures=40)
    good = (scans / "lesion000.png").read_bytes()
    for name in HOSTILE:
        (scans / name).write_bytes(good)
    (scans / "broken.png").write_bytes(good[:100])
    (scans / "empty.nii.gz").write_bytes(b"")
    model = write_tiny_model(place / "tiny.onnx")
    run(scans, model, place / "out", overlays="all")
    return place / "out"


@pytest.fixture
def rows(out):
    with (out / "report.csv").open(newline="", errors="surrogateescape") as text:
        return list(csv.DictReader(text))


@pytest.fixture
def page(browser, out):
    """The page without any choice made."""
    browser.open((out / "report.html").as_uri())
    return browser


def names(browser):
    """Names of the scans in the list, from top to bottom."""
    return browser.value(
        "[...document.querySelectorAll('#scans > li h2 bdi')].map(it => it.innerText)"
    )


def choose(browser, address):
    browser.value(f"void (location.hash = {address!r})")
    browser.wait_for(f"location.hash === {address!r}")
    browser.value("new Promise(done => setTimeout(done))")


def troubles(browser):
    """Exceptions, refusals and dialogs."""
    kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
    browser.value("1")  # whatever was said until now has arrived
    return [event for event in browser.events if event.get("method") in kinds]


def test_the_worst_scans_come_first_a_page_at_a_time(page, rows):
    scored = [row for row in rows if row["status"] == "ok"]
    scores = sorted((float(row["score"]) for row in scored), reverse=True)
    shown = page.value(
        "[...document.querySelectorAll('#scans .score strong')].map(it => +it.innerText)"
    )
    assert shown == pytest.approx(scores[:25], rel=1e-3)
    assert page.value("document.getElementById('shown').innerText").startswith(
        "1 to 25 of 51 scans"
    )


def test_its_counts_are_those_of_the_report(page, rows):
    shown = page.value(
        "Object.fromEntries([...document.querySelectorAll('#statuses label')]"
        ".map(it => [it.className, +it.innerText.match(/\\d+$/)[0]]))"
    )
    assert shown == {
        "all": len(rows),
        "anomalous": sum(row["anomalous"] == "true" for row in rows),
        "normal": sum(row["anomalous"] == "false" for row in rows),
        "failed": sum(row["status"] == "failed" for row in rows),
    }


def test_a_status_in_the_address_shows_those_scans_only(page):
    choose(page, "#status=failed")
    assert names(page) == ["broken.png", "empty.nii.gz"]
    words = page.value("document.querySelector('#scans .message').innerText")
    assert words.startswith("Not scored: broken.png ")


def test_a_status_can_be_clicked_and_is_kept_in_the_address(page):
    page.value("document.querySelector('#statuses .normal input').click()")
    assert all("healthy" in name for name in names(page))
    assert page.value("location.hash") == "#status=normal"


def test_what_is_typed_is_searched_in_names_and_reasons(page):
    page.value("document.getElementById('query').focus()")
    for key in "WARD 001":
        page.press(key)
    assert names(page) == ["ward/healthy001.jpg"]
    choose(page, "#q=copying+again")
    assert names(page) == ["broken.png", "empty.nii.gz"]
    choose(page, "#q=nothing+of+the+kind")
    assert page.value("document.getElementById('scans').innerText") == "No scan is like that."


def test_it_is_read_with_the_keyboard_alone(page):
    first, second = names(page)[:2]
    where = "document.activeElement.querySelector('h2 bdi')?.innerText"
    for key, expected in (("j", first), ("j", second), ("k", first)):
        page.press(key)
        assert page.value(where) == expected
    page.press("n")
    assert page.value("location.hash") == "#page=2"
    page.press("p")
    assert page.value("location.hash") == ""
    page.press("/")
    assert page.value("document.activeElement.id") == "query"


def test_pictures_wait_until_they_are_looked_at(page):
    loaded = "document.querySelectorAll('.picture [data-loaded]').length"
    page.wait_for(f"{loaded} > 0")
    assert page.value("[...document.images].every(it => it.loading === 'lazy')")
    assert page.value(loaded) < page.value("document.images.length") == 25


def test_every_picture_is_found_whatever_its_scan_is_called(page):
    choose(page, "#q=.png&status=anomalous")
    in_list = page.value("document.images.length")
    assert in_list > len(HOSTILE)
    page.value("for (const it of document.images) it.loading = 'eager'")
    page.wait_for(f"document.querySelectorAll('.picture [data-loaded]').length === {in_list}")
    masks = page.value("[...document.querySelectorAll('.facts a')].map(it => it.href)")
    assert all(urlsplit(mask).scheme == "file" for mask in masks)


def test_hostile_names_are_text_and_nothing_else(page):
    shown = set()
    for at in (1, 2, 3):
        choose(page, f"#order=name&page={at}")
        shown |= set(names(page))
    assert shown >= {
        *(name for name in HOSTILE if name.isascii() and name.isprintable()),
        r"new\nline.png",
        r"not text \xff.png",
        "turned ⟨U+202E⟩gnp.txt.png",
    }
    assert not page.value("document.querySelector('#scans script, #scans h2 img')")
    assert not troubles(page)


def test_it_asks_for_nothing_but_files_beside_it(page, out):
    for address in ("#status=failed", "#status=normal", "#page=2", "#order=name"):
        choose(page, address)
    page.value("document.querySelector('#about').open = true")
    asked = [
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    ours = out.as_uri()
    assert len(asked) > 1
    assert [url for url in asked if not url.startswith(ours)] == []
    assert not troubles(page)


def test_markup_that_got_in_all_the_same_could_do_nothing(page):
    page.value(
        "document.body.insertAdjacentHTML('beforeend',"
        '\'<img src="https://example.org/a.png" onerror="window.caught = 1">\')'
    )
    page.wait_for("document.images[document.images.length - 1].complete")
    assert page.value("window.caught") is None
    refused = [event["params"]["entry"]["text"] for event in troubles(page)]
    assert refused
    assert all("Content Security Policy" in words for words in refused)


def test_no_scan_is_wider_than_a_phone(page):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=1,
        mobile=True,
    )
    try:
        assert page.value("document.documentElement.scrollWidth") <= 390
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_it_prints_with_its_provenance(page):
    assert page.call("Page.printToPDF")["data"].startswith("JVBERi")  # %PDF
    assert page.value("document.querySelector('#about').open")


def test_it_says_what_it_is_not_and_where_it_comes_from(page):
    words = page.value("document.querySelector('#about').open = true; document.body.innerText")
    assert "not a medical device" in words
    for fact in (MANIFEST.method, MANIFEST.study, "0.45: eye", "SHA-256", "MLflow run"):
        assert fact in words


@pytest.mark.parametrize(
    ("outcome", "missing", "unfinished", "words"),
    [
        ("incomplete", ["part 3/3 was not given"], 0, "incomplete: part 3/3 was not given · "),
        ("interrupted", [], 1200, "interrupted with 1,200 still to do · "),
        ("incomplete", ["4 scans of <b>a"], 4, "incomplete: 4 scans of <b>a · "),
    ],
)
def test_above_all_it_says_what_is_missing(browser, tmp_path, outcome, missing, unfinished, words):
    run = RUN | {
        "outcome": outcome,
        "missing": missing,
        "counts": RUN["counts"] | {"unfinished": unfinished},
    }
    write_page(tmp_path / "report.html", Results((), run, (1.0, 2.0)))
    browser.open((tmp_path / "report.html").as_uri())
    assert browser.value("document.querySelector('#when').innerText").startswith(words)
    assert not troubles(browser)


def test_it_says_which_registered_version_was_meant_and_whether_that_is_sure(browser, tmp_path):
    asked = {"asked": "models:/uad-<b>@champion", "version": "3", "fetched": "2026-01-02T03:04:05"}
    for unconfirmed, sure in ((None, True), ("no answer", False)):
        registered = asked | {"unconfirmed": unconfirmed}
        run = RUN | {"model": RUN["model"] | {"registered": registered}}
        write_page(tmp_path / "report.html", Results((), run, (1.0, 2.0)))
        browser.open((tmp_path / "report.html").as_uri())
        words = browser.value(
            "document.querySelector('#about').open = true; document.body.innerText"
        )
        assert "models:/uad-<b>@champion: version 3" in words
        assert ("as fetched 2026-01-02T03:04:05" in words) is not sure
    assert not troubles(browser)


def test_ten_thousand_scans_are_as_quick_to_look_through(browser, tmp_path):
    many = [
        Row(scan=f"ward/{at:05}.png", status="ok", anomalous=at % 10 == 0, score=at / 1000,
            normal_percentile=50.0, lesions=0, slices=1, worst_slice=0)
        for at in range(10_000)
    ]  # fmt: skip
    write_page(tmp_path / "report.html", Results(page_rows(many, {}, {}), RUN, (1.0, 2.0, 3.0)))
    assert (tmp_path / "report.html").stat().st_size < 2e6
    browser.open((tmp_path / "report.html").as_uri())
    assert names(browser)[0] == "ward/09990.png"  # the highest of the anomalous
    head = browser.value("document.querySelector('header').innerText")
    assert "10,000 scans · 3 other files left out" in head
    assert browser.value("document.querySelectorAll('*').length") < 2000
    assert browser.value("+document.documentElement.dataset.ready") < 20_000  # ms; 300 if idle
    assert not troubles(browser)


def test_scans_that_are_not_what_the_model_was_made_for_are_told_of_above_all(browser, tmp_path):
    said = RUN["monitoring"] | {"warnings": ["intensity: <b>other</b>"], "notes": ["score higher"]}
    write_page(tmp_path / "report.html", Results((), RUN | {"monitoring": said}, (1.0, 2.0)))
    browser.open((tmp_path / "report.html").as_uri())
    words = browser.value("document.getElementById('monitoring').innerText")
    assert words.split("\n\n") == ["Warning: intensity: <b>other</b>", "Note: score higher"]
    assert browser.value("document.getElementById('monitoring').checkVisibility()")


def test_of_scans_as_expected_nothing_is_told(browser, tmp_path):
    write_page(tmp_path / "report.html", Results((), RUN, (1.0, 2.0)))
    browser.open((tmp_path / "report.html").as_uri())
    assert not browser.value("document.getElementById('monitoring').checkVisibility()")


def test_runs_over_time_are_drawn_in_the_pages_own_style(browser, tmp_path):
    write_run(tmp_path / "runs/a", 1, usual())
    write_run(tmp_path / "runs/b", 2, bright())
    page = write_monitored(tmp_path / "out", read_runs([tmp_path / "runs"]))
    browser.open(page.as_uri())
    fills = "[...document.querySelectorAll('svg .mark')].map(it => getComputedStyle(it).fill)"
    blue, red = "rgb(31, 95, 191)", "rgb(179, 38, 30)"
    assert browser.value(fills) == [blue, blue, blue, red, blue, blue]
    assert browser.value("document.querySelectorAll('tbody tr').length") == 3
    assert not troubles(browser)
