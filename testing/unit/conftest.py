import pytest


@pytest.fixture(autouse=True)
def quiet(capsys):
    """Discards the modules' progress messages."""
    yield
    capsys.readouterr()
