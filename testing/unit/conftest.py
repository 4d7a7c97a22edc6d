import pytest


@pytest.fixture(autouse=True)
def quiet(capsys):
    """What the modules say of their doings is not these tests' output."""
    yield
    capsys.readouterr()
