"""Sections say the same as Markdown and as a page; a renderer of Markdown is the judge."""

import pytest

from export.sections import Section, to_html, to_markdown
from tests.export.pages import Page, rendered

AWKWARD = (
    "a | b",
    "a\\|b",
    "two\nlines, and\nthree",
    "map < 0.5 & score > 1",
    "<b>not bold</b>",
    "&lt; as it stands",
    "`as typed`",
    "2 * 3 * 4 and _so_called",
    "reports/head_ct/evaluate/cae.int8.json",
)


SECTIONS = [
    Section(title="First", sentences=["One sentence.", "And another."]),
    Section(title="Second", sentences=["Of it:"], columns=("", "said"), rows=[("a", "b")] * 2),
    Section(title="Empty", columns=("never", "shown")),
]


def test_headings_sentences_and_tables_come_in_order():
    assert Page(to_html("Title", SECTIONS)).seen == [
        ("h1", "Title"),
        *(("h2", "First"), ("p", "One sentence."), ("p", "And another.")),
        *(("h2", "Second"), ("p", "Of it:"), ("tr", ("", "said")), *[("tr", ("a", "b"))] * 2),
        ("h2", "Empty"),
    ]
    assert rendered(to_markdown("Title", SECTIONS)).seen == Page(to_html("Title", SECTIONS)).seen


@pytest.mark.parametrize("text", AWKWARD)
def test_text_is_seen_as_it_was_given_wherever_it_stands(text):
    awkward = Section(title=text, sentences=[text], columns=(text, "b"), rows=[("a", text)])
    expected = [("h1", text), ("h2", text), ("p", text), ("tr", (text, "b")), ("tr", ("a", text))]
    assert rendered(to_markdown(text, [awkward])).seen == expected
    assert Page(to_html(text, [awkward])).seen == expected


def test_the_page_is_whole_and_asks_for_nothing():
    page = Page(to_html("Title", SECTIONS))
    assert page.open == []
    assert page.asked == []
