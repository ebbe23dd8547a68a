"""The proofs as tests: the small configuration always, the others with the long tests."""

import pytest

from .jobs import jobs, not_guarded


def _parameters():
    for job in jobs():
        marks = [] if job.fast else [pytest.mark.prove, pytest.mark.verify]
        yield pytest.param(job, id=job.name, marks=marks)


@pytest.mark.parametrize("job", list(_parameters()))
def test_proof(job):
    result = job.run()
    assert result.passed, "\n".join(result.problems)


def test_every_assertion_is_needed():
    assert not not_guarded()
