"""The edge's numbers hold together."""

from __future__ import annotations

from harness.fleet import edge_settings as settings
from harness.slices import SETTLE_S

PLAN_TTD_S = 2.0
ROUTE_TIMEOUT_S = 2.0


def test_a_frozen_zone_is_out_within_the_limit_of_the_reference_plan() -> None:
    assert settings.HEALTH_INTERVAL_S + settings.HEALTH_TIMEOUT_S * settings.HEALTH_FAILURES_TO_EJECT < PLAN_TTD_S


def test_all_tries_fit_into_the_route_timeout() -> None:
    assert (settings.RETRIES + 1) * settings.PER_TRY_TIMEOUT_S <= ROUTE_TIMEOUT_S


def test_outlier_detection_leaves_a_zone_when_health_checks_took_another() -> None:
    zones = 3
    ejected = int(zones * settings.OUTLIER_MAX_EJECTED_PERCENT / 100)
    assert ejected == 1


def test_requests_waiting_on_one_frozen_zone_may_all_move() -> None:
    spike_rps, zones = 600, 3
    assert spike_rps / zones * settings.PER_TRY_TIMEOUT_S <= settings.RETRIES_ALWAYS_ALLOWED


def test_a_zone_that_answers_nothing_is_silent_and_one_that_stalled_is_not() -> None:
    launch_rps, zones, stall_s = 200, 3, 0.6
    calls = launch_rps / zones * settings.OUTLIER_INTERVAL_S
    late = launch_rps / zones * (stall_s - settings.PER_TRY_TIMEOUT_S)
    assert 100 * late / (calls + late) < settings.OUTLIER_SILENT_PERCENT < 100 * calls / (calls + calls)


def test_an_ejection_outlasts_the_five_seconds_for_which_a_recovery_must_hold() -> None:
    assert settings.OUTLIER_BASE_EJECTION_S > SETTLE_S + settings.OUTLIER_INTERVAL_S
