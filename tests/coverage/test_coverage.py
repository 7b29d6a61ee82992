"""The list of what is implemented is the truth."""

from dryport.platform import coverage


def test_the_document_is_current() -> None:
    assert coverage.PATH.read_text() == coverage.render(), "run python -m dryport.platform.coverage"
