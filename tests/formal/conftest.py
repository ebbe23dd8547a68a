"""The marker of the long proofs."""


def pytest_configure(config):
    config.addinivalue_line("markers", "prove: proofs that take longer than the everyday tests allow")
