"""Numbers of things, in words."""


def counted(number: int, thing: str) -> str:
    """One thing, or several.

    >>> counted(1, "scan"), counted(1500, "scan")
    ('1 scan', '1,500 scans')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
