"""The catalogue covers the whole suite and the whole specification, and says nothing that is not there."""

from __future__ import annotations

import pytest
from palpo_conformance.catalogue import BadCatalogue, load_catalogue, parse_catalogue
from palpo_conformance.suite import load_suite
from palpo_spec import operations


def test_every_row_has_a_home() -> None:
    suite, catalogue = load_suite(), load_catalogue()
    assert [key for key in suite.row_keys() if not catalogue.test_features(*key)] == []
    assert [(t.package, t.test) for t in suite.tests if (t.package, t.test) not in catalogue.homes] == []


def test_every_home_is_of_a_test_in_the_suite() -> None:
    suite = load_suite()
    assert [home for home in load_catalogue().homes if suite.find(*home) is None] == []


def test_every_operation_of_the_specification_has_a_feature_and_no_other_has() -> None:
    named = {operation for feature in load_catalogue().features for operation in feature.operations}
    assert named == {operation.key for operation in operations()}


def test_every_pattern_matches_a_row() -> None:
    rows = [f"{package}:{test}" for package, test in load_suite().row_keys()]
    idle = [p.pattern for p, _ in load_catalogue().also if not any(p.fullmatch(row) for row in rows)]
    assert idle == []


def test_the_suite_has_the_rows_that_the_pin_has() -> None:
    suite = load_suite()
    assert len(suite.tests) == 210
    assert len(suite.row_keys()) == len(set(suite.row_keys())) == 844
    assert len(suite.self_skips()) == 13
    assert suite.self_skips() <= set(suite.row_keys())
    assert len(suite.packages()) == 14


def test_home_comes_first_and_subtests_inherit() -> None:
    catalogue = load_catalogue()
    key = ("tests/csapi", "TestChangePasswordPushers/Pushers_created_with_a_different_access_token")
    assert catalogue.test_features(*key) == ("password_management", "push")
    assert catalogue.test_features("tests", "TestOfAnotherSuite") == ()


def test_a_pattern_may_name_a_subtest_only() -> None:
    catalogue = load_catalogue()
    top = catalogue.test_features("tests/msc3902", "TestPartialStateJoin")
    typing = catalogue.test_features(
        "tests/msc3902", "TestPartialStateJoin/CanReceiveTypingDuringPartialStateJoin"
    )
    assert "typing" not in top
    assert "typing" in typing


def test_two_homes_are_refused() -> None:
    tests = {"tests": ["TestSync"]}
    with pytest.raises(BadCatalogue, match="at home in a and in b"):
        parse_catalogue({"a": {"title": "A", "tests": tests}, "b": {"title": "B", "tests": tests}})


def test_import_paths_are_shortened() -> None:
    suite = load_suite()
    assert suite.short_package("github.com/matrix-org/complement/tests/csapi") == "tests/csapi"
    assert suite.short_package("tests/csapi") == "tests/csapi"
