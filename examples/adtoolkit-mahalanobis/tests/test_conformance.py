"""The promises that adtoolkit asks of every component. What is special about this method would be tested beside."""

from adtoolkit.testing import parametrize_with_checks


@parametrize_with_checks(["gaussian", "mahalanobis"])
def test_conformance(check):
    check()
