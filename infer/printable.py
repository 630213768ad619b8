"""Text from elsewhere, made harmless to a terminal: names of files, a model's own words."""


def printable(line: str) -> str:
    """A line whose unprintable letters are written out: none steers a terminal.

    >>> printable("scan\\x1b[2J\\n.png")
    'scan\\\\x1b[2J\\\\n.png'
    """
    shown = (it if it.isprintable() else it.encode("unicode_escape").decode() for it in line)
    return "".join(shown)
