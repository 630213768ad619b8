"""What a reader sees of a page, and of Markdown."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt


class Page(HTMLParser):
    """`seen`: (h1, h2 or p, text), and of each table (tr, its cells); and what is `asked` for."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.asked, self.open, self.cells, self.text = [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.asked += [value for name, value in attrs if name in ("src", "href")]
        if tag == "br":
            self.text += "\n"
            return
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.cells = []
        if tag in ("h1", "h2", "p", "th", "td"):
            self.text = ""

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("h1", "h2", "p"):
            self.seen.append((tag, self.text))
        if tag in ("th", "td"):
            self.cells.append(self.text)
        if tag == "tr":
            self.seen.append((tag, tuple(self.cells)))


def rendered(markdown):
    """As GitHub renders it."""
    return Page(MarkdownIt("commonmark").enable("table").render(markdown))
