"""Makes modules that look as the stubs in `typings/` say, with behaviour from a class of the same name for each class.

Rule: whatever the stub does not declare is an error, in behaviour as in use, and so is a call that fits no declared
signature. Each call is recorded. A call named in `failing` fails in the way that its declared result allows: false,
None, -1, a list of complaints, an error code, or TypeError for a constructor, as the real bindings do.
"""

from __future__ import annotations

import ast
import enum
import inspect
from collections import Counter
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAILED = {"bool": False, "int": -1, "list[str]": ["a complaint"]}


@dataclass
class Calls:
    """What was called, in order, and what is to fail, from which of its next calls on (1 is the very next)."""

    made: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        return Counter(self.made)


def fake_module(name: str, stub: Path, behaviour: dict[str, Any], calls: Calls) -> ModuleType:
    """The module `name`. `behaviour` has a class, a function or a value for each name that the stub declares."""
    module = ModuleType(name)
    declared = ast.parse(stub.read_text()).body
    for node in declared:
        if isinstance(node, ast.ClassDef):
            made = _enumeration(node) if node.bases else _class(node, behaviour.pop(node.name, _Nothing), calls)
            setattr(module, node.name, made)
    for node in declared:
        if isinstance(node, ast.FunctionDef):
            setattr(module, node.name, _checked([node], behaviour.pop(node.name), node.name, calls, module))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            setattr(module, node.target.id, behaviour.pop(node.target.id))
    assert not behaviour, f"{name} has no {sorted(behaviour)}"
    return module


def _enumeration(node: ast.ClassDef) -> Any:
    members = {item.targets[0].id: item.value.value for item in node.body if isinstance(item, ast.Assign)}  # type: ignore[attr-defined]
    kind: Any = enum.IntEnum if ast.unparse(node.bases[0]) == "enum.IntEnum" else enum.Enum
    return kind(node.name, members)


def _class(node: ast.ClassDef, behaviour: Any, calls: Calls) -> Any:
    namespace: dict[str, Any] = {key: item for key, item in vars(behaviour).items() if _is_private(key)}
    public = {key: item for key, item in vars(behaviour).items() if not key.startswith("_") or key in _SPECIAL}
    functions: dict[str, list[ast.FunctionDef]] = {}
    attributes = {"__doc__"}
    for item in node.body:
        if isinstance(item, ast.ClassDef):
            namespace[item.name] = _enumeration(item)
        elif isinstance(item, ast.AnnAssign) or _is_property(item):
            name = item.target.id if isinstance(item, ast.AnnAssign) else item.name  # type: ignore[union-attr]
            attributes.add(name)
            namespace[name] = public.pop(name, None)
        elif isinstance(item, ast.FunctionDef):
            functions.setdefault(item.name, []).append(item)
    for name, overloads in functions.items():
        act = public.pop(name, None)
        namespace[name] = _checked(overloads, act, f"{node.name}.{name}", calls, None)
    assert not public, f"{node.name} has no {sorted(public)}"

    def set_attribute(self: object, name: str, value: object) -> None:
        assert name.startswith("_") or name in attributes, f"{node.name} has no {name}"
        object.__setattr__(self, name, value)

    return type(node.name, (), {**namespace, "__setattr__": set_attribute})


class _Nothing:
    """The behaviour of a class that only is."""


_SPECIAL = {"__init__", "__getitem__", "__len__", "__int__", "__buffer__"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_property(item: ast.stmt) -> bool:
    return isinstance(item, ast.FunctionDef) and [ast.unparse(it) for it in item.decorator_list] == ["property"]


def _checked(
    overloads: list[ast.FunctionDef], act: Callable[..., Any] | None, name: str, calls: Calls, module: ModuleType | None
) -> Callable[..., Any]:
    """`act`, for calls that fit one of the declared signatures."""
    signatures = [_signature(item) for item in overloads]
    returned = ast.unparse(overloads[0].returns) if overloads[0].returns else ""

    def call(*arguments: Any, **named: Any) -> Any:
        if not any(_fits(signature, arguments, named) for signature in signatures):
            raise TypeError(f"{name} takes no {arguments} {named}")
        calls.made.append(name)
        if name in calls.failing:
            calls.failing[name] -= 1
        if calls.failing.get(name, 1) < 1:
            return _failure(name, returned, module)
        if act is None and name.endswith("__init__"):
            return None
        assert act is not None, f"the fake does not do {name}"
        return act(*arguments, **named)

    return call


def _failure(name: str, returned: str, module: Any) -> Any:
    if module is not None:
        error = module.cudaError_t.cudaErrorMemoryAllocation
        return (error,) if returned.count(",") == 0 else (error, None)
    if name.endswith("__init__"):
        raise TypeError("pybind11::init(): factory function returned nullptr")
    return FAILED.get(returned)


def _signature(node: ast.FunctionDef) -> inspect.Signature:
    places = node.args.args
    required = len(places) - len(node.args.defaults)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature(
        [
            inspect.Parameter(place.arg, kind, default=inspect.Parameter.empty if index < required else None)
            for index, place in enumerate(places)
        ]
    )


def _fits(signature: inspect.Signature, arguments: Any, named: Any) -> bool:
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True
