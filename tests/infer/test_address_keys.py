import pytest

from infer.address_keys import without_keys


@pytest.mark.parametrize(
    ("said", "without"),
    [
        ("http://anna:p@ss@host:5000/a is away", "http://host:5000/a is away"),
        ("see https://host/a?signature=0123, then", "see https://host/a then"),
        ("sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
        ("mail anna@host about http://host", "mail anna@host about http://host"),
    ],
)
def test_what_others_say_is_repeated_without_keys(said, without):
    assert without_keys(said) == without
