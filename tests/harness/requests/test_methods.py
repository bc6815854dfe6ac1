"""A unary method is found by what the server or a file says of it, and anything else is refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from harness.access import Access, grpc_calls
from harness.requests.example import example_message
from harness.requests.methods import described_method, input_class, unary_methods
from harness.requests.pool import RequestsError
from harness.requests.reflection import NoReflectionError
from tests.integration import weather_service
from tests.integration.weather_service import METHOD, STREAMING, V1, V1ALPHA, Weather, serving

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = Access("127.0.0.1:1")


@pytest.mark.parametrize("versions", [(V1,), (V1ALPHA,), (V1, V1ALPHA)])
def test_reflection_of_either_version_describes_a_method_and_all_that_it_imports(versions: tuple[str, ...]) -> None:
    with serving(Weather(), reflecting=versions) as address:
        method = described_method(Access(address), METHOD, None)
        with grpc_calls(Access(address)) as calls:
            assert list(unary_methods(calls)) == [METHOD]  # neither gRPC's own services nor what streams
    assert {field.name for field in method.input_type.fields} >= {"city", "place", "when"}


def test_a_file_of_descriptors_does_without_the_server(tmp_path: Path) -> None:
    path = tmp_path / "weather.pb"
    path.write_bytes(weather_service.descriptor_set())
    assert described_method(NOWHERE, METHOD, path).input_type.full_name == "weather.v1.ForecastRequest"


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (STREAMING, "streams; only unary methods"),
        ("/weather.v1.Weather/Forcast", "no method Forcast in weather.v1.Weather; its methods: Forecast, Watch"),
        ("/weather.v2.Weather/Forecast", "weather.v2.Weather"),
    ],
)
def test_a_method_that_is_not_there_or_streams_is_refused(tmp_path: Path, method: str, said: str) -> None:
    path = tmp_path / "weather.pb"
    path.write_bytes(weather_service.descriptor_set())
    with serving(Weather()) as address:
        for descriptors in (path, None):
            with pytest.raises(RequestsError, match=said):
                described_method(Access(address), method, descriptors)


def test_a_server_without_reflection_says_so() -> None:
    with serving(Weather(), reflecting=()) as address, pytest.raises(NoReflectionError, match=r"target\.descriptors"):
        described_method(Access(address), METHOD, None)


def test_a_server_that_is_gone_is_named_by_its_code() -> None:
    with pytest.raises(RequestsError, match="server reflection failed \\(UNAVAILABLE"):
        described_method(NOWHERE, METHOD, None)


def test_a_file_that_is_none_or_lacks_an_import_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weather.pb"
    with pytest.raises(RequestsError, match=r"weather\.pb: target\.descriptors can't be read"):
        described_method(NOWHERE, METHOD, path)
    path.write_bytes(b"no descriptors \xff")
    with pytest.raises(RequestsError, match=r"weather\.pb: target\.descriptors must be a FileDescriptorSet"):
        described_method(NOWHERE, METHOD, path)
    path.write_bytes(FileDescriptorSet(file=weather_service.files()[1:]).SerializeToString())
    with pytest.raises(RequestsError, match=r"not all that it imports.*weather/places\.proto"):
        described_method(NOWHERE, METHOD, path)


def test_an_example_has_every_field_once_and_is_taken_by_the_method(tmp_path: Path) -> None:
    path = tmp_path / "weather.pb"
    path.write_bytes(weather_service.descriptor_set())
    method = described_method(NOWHERE, METHOD, path)
    example = example_message(method.input_type)
    assert example == {
        "city": "",  # and not the place, which excludes it
        "when": "1970-01-01T00:00:00Z",
        "days": [0],
        "unit": "CELSIUS",
        "around": {"latitude": 0, "longitude": 0},
        "like": {},
    }
    assert json_format.ParseDict(example, input_class(method)()).ByteSize()
