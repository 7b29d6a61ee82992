"""The list of what is implemented is the truth."""

from dryport.gateway.models import SERVICES
from dryport.platform import coverage


def test_the_document_is_current() -> None:
    assert coverage.PATH.read_text() == coverage.render(), "run python -m dryport.platform.coverage"


def test_the_models_of_all_services_are_prepared_at_installation() -> None:
    assert sorted(SERVICES) == sorted(service.name for service in coverage.services())
