"""Whom results are sent to, as a Plan says it: by reference or https, and nothing else."""

from __future__ import annotations

import pytest

from harness.plan import PlanError, parse_plan
from tests.integration.processes import PLAN

TEXT = PLAN.read_text()


def parsed(table: str) -> list[tuple[str, str, tuple[str, ...]]]:
    plan = parse_plan(f"{TEXT}\n[[notify]]\n{table}\n")
    return [(item.url, item.format, item.on) for item in plan.notify]


def test_a_reference_or_an_https_address_is_taken() -> None:
    assert parsed('url = "env:HOOK"') == [("env:HOOK", "json", ("no-go",))]
    full = 'url = "https://hooks.example/x"\nformat = "slack"\non = ["always"]'
    assert parsed(full) == [("https://hooks.example/x", "slack", ("always",))]
    assert parsed('url = "http://127.0.0.1:8000/"')[0][0] == "http://127.0.0.1:8000/"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('url = "http://hooks.example/s3cret"', "must be an https address"),
        ('url = "Bearer env:HOOK"', "no more"),
        ('url = "env:HO OK"', "referred to as"),
        ('url = "https://[s3cret"', "must be an https address"),
        ('url = "https://a b/s3cret"', "must be an https address"),
        ('url = "https:///s3cret"', "must be an https address"),
        ('url = "env:HOOK"\non = []', "on must name a result"),
        ('url = "env:HOOK"\non = ["never"]', r"notify\.0\.on"),
        ('url = "env:HOOK"\nfromat = "slack"', 'did you mean "format"'),
        ('format = "slack"', "required"),
    ],
)
def test_anything_else_is_an_error_that_does_not_say_the_address(table: str, said: str) -> None:
    with pytest.raises(PlanError, match=said) as caught:
        parsed(table)
    assert "s3cret" not in str(caught.value)
