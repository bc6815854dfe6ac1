"""Values that no model should see are refused by name of their column; good ones, and drifting ones, pass untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference_service.contract import Contract
from reference_service.errors import InvalidRequestError
from reference_service.manifest import Column, TensorFact
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import infer_request
from reference_service.registry import load_golden, load_version
from reference_service.settings import Validation
from reference_service.trust import UNSIGNED_ALLOWED
from reference_service.validation import VIOLATIONS_MAX, ValueRule, check_parameters, timeout_s_in
from tests.reference_service.running import ROOT

COLUMNS = (Column("hour", 0, 24), Column("temperature_f", 10, 110), Column("share", 0.25, 0.75))
FACT = TensorFact("features", "FP32", (-1, 3), COLUMNS)
GOOD = [[12, 60, 0.5], [0, 10, 0.25], [24, 110, 0.75]]
SIGNALLING_NAN = np.frombuffer(b"\x01\x00\xa0\x7f", "<f4")[0]


def rule(out_of_range: Any = "reject", margin: float = 0.0, fact: TensorFact = FACT) -> ValueRule:
    return ValueRule(fact, Validation(out_of_range=out_of_range, margin=margin))


def batch(*rows: list[float]) -> Any:
    return np.array(rows, "<f4")


def refusal(checked: ValueRule, rows: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        checked.check(rows)
    return caught.value


@pytest.mark.parametrize("policy", ["reject", "clip", "pass"])
def test_good_values_pass_untouched_to_the_very_bounds(policy: str) -> None:
    rows = batch(*GOOD)
    assert rule(policy).check(rows) is rows


@pytest.mark.parametrize("policy", ["reject", "clip", "pass"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, SIGNALLING_NAN])
def test_a_value_that_is_not_finite_is_refused_by_its_place_and_column(policy: str, value: float) -> None:
    rows = batch(*GOOD)
    rows[2, 1] = value
    error = refusal(rule(policy), rows)
    assert [item.field for item in error.violations] == ["inputs[0].contents[2][1] (temperature_f)"]
    assert "1 of 9" in str(error)


def test_a_value_out_of_range_is_refused_with_the_range_and_what_came() -> None:
    (violation,) = refusal(rule(), batch([12, 300, 0.5])).violations
    assert violation == ("inputs[0].contents[0][1] (temperature_f)", "expected 10 to 110; got 300")


def test_the_margin_widens_the_range_on_both_sides_by_its_share_of_the_width() -> None:
    widened = rule(margin=0.5)
    widened.check(batch([-12, -40, 0], [36, 160, 1]))
    assert "(hour)" in refusal(widened, batch([-12.01, 60, 0.5])).violations[0].field
    assert "(share)" in refusal(widened, batch([12, 60, 1.01])).violations[0].field


def test_clipping_moves_only_what_is_out_and_leaves_what_came_as_it_was() -> None:
    rows = batch([12, 300, 0.5], [-1, 60, 0.5])
    np.testing.assert_array_equal(rule("clip").check(rows), batch([12, 110, 0.5], [0, 60, 0.5]))
    assert rows[0, 1] == 300


def test_passing_lets_any_finite_value_through() -> None:
    largest = float(np.finfo(np.float32).max)
    rows = batch([12, largest, -largest])
    assert rule("pass").check(rows) is rows


def test_minus_zero_is_zero() -> None:
    rows = batch([-0.0, 60, 0.5])
    assert rule().check(rows) is rows


def test_of_very_many_violations_only_the_first_are_named() -> None:
    error = refusal(rule(), np.full((1000, 3), np.nan, "<f4"))
    assert len(error.violations) == VIOLATIONS_MAX
    assert "3000 of 3000" in str(error)
    assert len(str(error)) < 300


def test_a_model_without_ranges_still_refuses_what_is_not_finite() -> None:
    unnamed = rule(fact=TensorFact("features", "FP32", (-1, 3)))
    unnamed.check(batch([1e30, 0, 0]))
    (violation,) = refusal(unnamed, batch([0, np.nan, 0])).violations
    assert violation == ("inputs[0].contents[0][1]", "expected a finite number; got nan")


def test_integers_are_left_alone() -> None:
    rows = np.array([[1, 2, 3]], "<i4")
    assert rule(fact=TensorFact("features", "INT32", (-1, 3))).check(rows) is rows


@pytest.mark.parametrize("version", ["1", "2"])
def test_by_default_every_held_out_row_passes_and_a_wrong_unit_does_not(version: str) -> None:
    found = load_version(ROOT / Path("reference_service/models"), "flight-delay", version, UNSIGNED_ALLOWED)
    golden, fact = load_golden(found).inputs, found.manifest.inputs[0]
    outside = [np.any((row < low) | (row > high)) for row in golden for low, high in [ranges(fact)]]
    assert np.mean(outside) > 0.5  # or this would show nothing of drift
    default = ValueRule(fact, Validation())
    assert default.check(golden) is golden
    in_pascal = golden[:1].copy()
    column = [item.name for item in fact.columns].index("pressure_hpa")
    in_pascal[0, column] *= 100
    assert "(pressure_hpa)" in refusal(default, in_pascal).violations[0].field


def ranges(fact: TensorFact) -> tuple[Any, Any]:
    return np.array([item.min for item in fact.columns]), np.array([item.max for item in fact.columns])


def with_parameter(name: str, **value: Any) -> pb.ModelInferRequest:
    request = infer_request("tiny", "features", batch([0, 0, 0]))
    request.parameters[name].MergeFrom(pb.InferParameter(**value))
    return request


@pytest.mark.parametrize(
    ("request_", "timeout_s"),
    [
        (with_parameter("timeout", int64_param=5_000), 0.005),
        (with_parameter("timeout", int64_param=0), None),
        (with_parameter("priority", uint64_param=1), None),
    ],
)
def test_what_tritons_client_adds_is_taken_and_its_timeout_understood(
    request_: pb.ModelInferRequest, timeout_s: float | None
) -> None:
    check_parameters(request_.parameters)
    assert timeout_s_in(request_.parameters) == timeout_s


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (with_parameter("sequence_id", int64_param=7), "sequences are not offered"),
        (with_parameter("temperature", double_param=0.5), "it knows timeout, priority"),
        (with_parameter("timeout", string_param="soon"), "expected int64_param"),
        (with_parameter("none at all"), "not a parameter"),
        (with_parameter("timeout"), "expected int64_param"),
    ],
)
def test_any_other_parameter_is_refused_by_name(request_: pb.ModelInferRequest, part: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_parameters(request_.parameters)
    (name,) = request_.parameters
    (violation,) = caught.value.violations
    assert (violation.field, part in violation.description) == (f"parameters['{name}']", True)


def test_every_refusal_of_the_contract_names_a_field(tiny_version: Any) -> None:
    contract = Contract.of(tiny_version.manifest, Validation(rows_max=2))
    good = infer_request("tiny", "features", batch(*GOOD[:2]))
    contract.read(good)

    def refused(change: Any) -> str:
        request = pb.ModelInferRequest.FromString(good.SerializeToString())
        change(request)
        with pytest.raises(InvalidRequestError) as caught:
            contract.read(request)
        return caught.value.violations[0].field

    assert refused(lambda r: r.ClearField("inputs")) == "inputs"
    assert refused(lambda r: setattr(r.inputs[0], "name", "x")) == "inputs[0].name"
    assert refused(lambda r: setattr(r.inputs[0], "datatype", "INT8")) == "inputs[0].datatype"
    assert refused(lambda r: r.inputs[0].shape.append(1)) == "inputs[0].shape"
    assert refused(lambda r: r.inputs[0].shape.__setitem__(0, 3)) == "inputs[0].shape[0]"
    assert refused(lambda r: r.inputs[0].parameters["shared_memory_region"].Clear()) == "inputs[0].parameters"
    assert refused(lambda r: r.raw_input_contents.__setitem__(0, b"")) == "raw_input_contents"
    assert refused(lambda r: r.ClearField("raw_input_contents")) == "inputs[0].contents"
    assert refused(lambda r: r.outputs.add(name="q")) == "outputs[0].name"
    assert refused(lambda r: r.outputs.add(name="p").parameters["classification"].Clear()) == "outputs[0].parameters"
    assert refused(lambda r: [r.outputs.add(name="p"), r.outputs.add(name="p")]) == "outputs"
    assert refused(lambda r: r.parameters["x"].Clear()) == "parameters['x']"
