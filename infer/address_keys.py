"""Text from elsewhere that may hold addresses, without the keys in them."""

import re

_SECRETS = (
    (re.compile(r"(\w://)[^/\s]*@"), r"\1"),  # a user and his password
    (re.compile(r"(\w://[^\s?\"']*)\?[^\s\"']*"), r"\1"),  # a signature
)


def without_keys(text: str) -> str:
    """What others say, an error or an address, without the keys in the addresses that it names.

    >>> without_keys("http://anna:p@ss@host:5000/a?signature=0123 is away")
    'http://host:5000/a is away'
    """
    for secret, without in _SECRETS:
        text = secret.sub(without, text)
    return text
