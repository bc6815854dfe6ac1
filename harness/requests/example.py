"""Makes an example of a message, as JSON: every field once, with a value that shows its type.

Rule: what protobuf's JSON form takes back without a change of the message's type; nothing is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_OF_TYPE: dict[int, Any] = {FieldDescriptor.CPPTYPE_STRING: "", FieldDescriptor.CPPTYPE_BOOL: False}
"""JSON values by type; bytes are text there, in base64. Every other type is a number."""


def example_message(described: Descriptor, inside: tuple[str, ...] = ()) -> dict[str, Any]:
    """One example of a message of this type, which stands `inside` messages of these types.

    Of fields that exclude each other only the first is set, and a message inside one of its own type is empty.
    """
    if described.full_name in inside:
        return {}
    inside = (*inside, described.full_name)
    return {field.name: _example_field(field, inside) for field in described.fields if _first_of_its_kind(field)}


def _first_of_its_kind(field: FieldDescriptor) -> bool:
    return field.containing_oneof is None or field.containing_oneof.fields[0].name == field.name


def _example_field(field: FieldDescriptor, inside: tuple[str, ...]) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {}
    value = _example_value(field, inside)
    return [value] if field.is_repeated else value


def _example_value(field: FieldDescriptor, inside: tuple[str, ...]) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[0].name
    if field.message_type is None:
        return _OF_TYPE.get(field.cpp_type, 0)
    if field.message_type.file.name.startswith("google/protobuf/"):  # these have JSON forms of their own
        return json_format.MessageToDict(message_factory.GetMessageClass(field.message_type)())
    return example_message(field.message_type, inside)
