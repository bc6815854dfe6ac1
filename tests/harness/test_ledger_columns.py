"""The ledger's table is read without copies where it can be, and refused where it holds what no ledger does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.ledger_columns import columns
from tests.builders import healthy

if TYPE_CHECKING:
    import pandas as pd


def table(**changes: Any) -> pd.DataFrame:
    return healthy().evidence["ledger"].tables["requests"].assign(**changes)


def test_what_is_already_as_it_is_needed_is_not_copied() -> None:
    names = dict.fromkeys(("scenario", "phase", "zone", "model_version"), "category")
    given = table().astype(names)
    found = columns(given)
    for name in ("request_id", "sent_ns", "done_ns", "status"):
        assert np.shares_memory(found[name], given[name].to_numpy())
    for name in names:
        assert np.shares_memory(found[name].codes, given[name].array.codes)


@pytest.mark.parametrize("kind", ["category", "object", "str"])
def test_a_name_that_is_not_there_is_empty(kind: str) -> None:
    zones = table()["zone"].astype(kind)
    zones[3] = None
    found = columns(table(zone=zones))["zone"]
    assert list(found[2:5]) == [zones[2], "", zones[4]]
    assert list(columns(table(zone=None))["zone"].unique()) == [""]


@pytest.mark.parametrize("name", ["scenario", "phase", "zone", "model_version"])
def test_a_name_that_is_no_text_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"column {name} holds 1, which is no name"):
        columns(table(**{name: 1}))


@pytest.mark.parametrize("due", [np.inf, -np.inf, 2.0**53 + 2, -(2.0**53) - 2])
def test_a_request_due_at_no_time_of_a_run_is_refused(due: float) -> None:
    given = table(intended_ns=table()["intended_ns"].astype(np.float64), done_ns=np.nan)
    given.loc[5, "intended_ns"] = due
    with pytest.raises(ValueError, match="due at no time that a run can have"):
        columns(given)


def test_a_status_of_any_integer_type_is_read() -> None:
    for kind in ("int16", "Int16", "float64", "object"):
        assert list(columns(table(status=table()["status"].astype(kind)))["status"][:3]) == [0, 0, 0]
