"""Describes the parts of the real TensorRT and CUDA bindings that the engine uses, as type stubs.

Rule: runs alone, in a process where those bindings can be imported (see `real_bindings`). It writes down names, arities
and types, which are facts of the interface, and none of its documentation. A name listed here that the bindings do not
have is an error.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from typing import Any

TENSORRT: dict[str, str] = {
    "Builder": "__init__ build_serialized_network create_builder_config create_network create_optimization_profile",
    "BuilderFlag": "TF32",
    "DataType": "",
    "ExecutionContextAllocationStrategy": "",
    "Dims": "__init__ __getitem__ __len__",
    "IBuilderConfig": "add_optimization_profile clear_flag create_timing_cache get_timing_cache set_timing_cache",
    "ICudaEngine": "create_execution_context get_tensor_dtype get_tensor_mode get_tensor_name get_tensor_profile_shape"
    " get_tensor_shape num_io_tensors",
    "IExecutionContext": "execute_async_v3 infer_shapes set_input_shape set_optimization_profile_async"
    " set_tensor_address",
    "IHostMemory": "nbytes",
    "ILayer": "get_output num_outputs",
    "ILogger": "__init__ log",
    "IRuntimeConfig": "",
    "IStreamReaderV2": "",
    "INetworkDefinition": "get_input get_layer get_output num_inputs num_layers num_outputs",
    "IOptimizationProfile": "set_shape",
    "ITensor": "dtype name shape",
    "ITimingCache": "serialize",
    "OnnxParser": "__init__ get_error num_errors parse",
    "ParserError": "desc node_name",
    "Runtime": "__init__ deserialize_cuda_engine engine_host_code_allowed",
    "TensorIOMode": "",
}
"""Each class with the members to describe; with none named, an enumeration has all its values."""

CUDA_FUNCTIONS = """
    cudaDriverGetVersion cudaFree cudaFreeHost cudaGetDeviceCount cudaGetDeviceProperties
    cudaGraphDestroy cudaGraphExecDestroy cudaGraphInstantiate cudaGraphLaunch cudaMalloc cudaMallocHost
    cudaMemcpyAsync cudaStreamBeginCapture cudaStreamCreateWithFlags cudaStreamDestroy cudaStreamEndCapture
    cudaStreamSynchronize
"""
CUDA_ENUMERATIONS = {
    "cudaError_t": "cudaSuccess cudaErrorInsufficientDriver cudaErrorMemoryAllocation cudaErrorNoDevice",
    "cudaMemcpyKind": "cudaMemcpyDeviceToHost cudaMemcpyHostToDevice",
    "cudaStreamCaptureMode": "cudaStreamCaptureModeThreadLocal",
}
CUDA_HANDLES = ("cudaGraph_t", "cudaGraphExec_t", "cudaStream_t")
CUDA_PROPERTIES = {"major": "int", "minor": "int", "name": "bytes"}

HEADER = "# Made from the real bindings by tests/reference_service/engines/real_bindings.py: change that, not this.\n"
BUFFER = "    def __buffer__(self, flags: int, /) -> memoryview: ...\n"
_OBJECTS = {name for name, members in TENSORRT.items() if members and name not in {"BuilderFlag", "Dims"}}
_PLAIN = {"SupportsInt", "Buffer", "Sequence", "str", "int", "bool", "tuple", "list", "slice", "None"}


class _Types(ast.NodeTransformer):
    """Rewrites the types of a pybind11 signature to those that a stub can name."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self.visit_Name(ast.Name(node.attr))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        known = node.id in _PLAIN or node.id in TENSORRT or node.id == "Severity"
        return ast.Name({"Severity": "ILogger.Severity"}.get(node.id, node.id) if known else "object")

    def visit_arg(self, node: ast.arg) -> ast.arg:
        annotated = node.arg != "self" and node.annotation is not None
        return ast.arg(node.arg, ast.Name(_named(node.annotation)) if annotated else None)


def _named(annotation: ast.expr | None) -> str:
    kind = ast.unparse(_Types().visit(annotation))
    return {"tuple": "tuple[int, ...]", "list": "list[int]"}.get(kind, kind)


def tensorrt_stub(trt: Any) -> str:
    """The stub of module `tensorrt`."""
    lines = [HEADER + "import enum\nfrom collections.abc import Sequence\nfrom typing import SupportsInt, overload\n"]
    lines += ["from typing_extensions import Buffer\n"]
    lines += ["__version__: str\n", *(_class(getattr(trt, name), name, TENSORRT[name].split()) for name in TENSORRT)]
    return "\n".join(lines)


def _class(kind: Any, name: str, members: list[str]) -> str:
    if hasattr(kind, "__members__"):
        return f"class {name}(enum.Enum):\n" + _values(members or sorted(kind.__members__), kind.__members__)
    body = "".join(_member(getattr(kind, member), name, member) for member in members)
    if name == "ILogger":
        severities = kind.Severity.__members__
        body = "    class Severity(enum.Enum):\n" + _values(sorted(severities), severities, "        ") + body
    body += BUFFER if name == "IHostMemory" else ""  # C++ gives it; only an instance could show it
    return f"class {name}:\n{body or '    ...'}\n"


def _values(names: list[str], known: Any, indent: str = "    ") -> str:
    return "".join(f"{indent}{name} = {int(known[name])}\n" for name in names)


def _member(member: Any, owner: str, name: str) -> str:
    if isinstance(member, property):
        kind = _returned(_parsed("get" + member.fget.__doc__.strip()))
        if member.fset is not None:
            return f"    {name}: {kind}\n"
        return f"    @property\n    def {name}(self) -> {kind}: ...\n"
    first, *others = member.__doc__.strip().splitlines()
    signatures = [line.split(". ", 1)[1] for line in others if re.match(r"\d+\. ", line)] or [first]
    overloads = [_parsed(line) for line in signatures]
    mark = "    @overload\n" if len(overloads) > 1 else ""
    return "".join(f"{mark}    {_method(item, owner)}\n" for item in overloads)


def _parsed(signature: str) -> ast.FunctionDef:
    # Defaults and types of C++ that are no Python: <Enum.VALUE: 0>, nvonnxparser::IParserError.
    signature = signature.replace("nvonnxparser::IParserError", "ParserError")
    signature = re.sub(r"[\w:]+::\w+", "object", re.sub(r"<[^>]*>", "...", signature))
    (function,) = ast.parse(f"def {signature}: ...").body
    assert isinstance(function, ast.FunctionDef)
    return function


def _method(function: ast.FunctionDef, owner: str) -> str:
    arguments = _Types().visit(function.args)
    places = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    for place, default in zip(places, arguments.defaults, strict=True):
        if isinstance(default, ast.Constant) and default.value is None:
            place.annotation = ast.Name(f"{ast.unparse(place.annotation)} | None")
    arguments.defaults = [ast.Constant(...)] * len(arguments.defaults)
    returned = "None" if function.name == "__init__" else _returned(function)
    assert owner in TENSORRT
    return f"def {function.name}({ast.unparse(arguments)}) -> {returned}: ..."


def _returned(function: ast.FunctionDef) -> str:
    """The type returned. An object of TensorRT is a pointer in C++, which may be null: None."""
    kind = _named(function.returns)
    return f"{kind} | None" if kind in _OBJECTS else kind


def cuda_stub(runtime: Any) -> str:
    """The stub of module `cuda.bindings.runtime`."""
    lines = [HEADER + "import enum\n", f"cudaStreamNonBlocking: int  # {runtime.cudaStreamNonBlocking}\n"]
    for name, members in CUDA_ENUMERATIONS.items():
        known = getattr(runtime, name).__members__
        lines.append(f"class {name}(enum.IntEnum):\n" + _values(members.split(), known))
    for name in CUDA_HANDLES:
        assert hasattr(getattr(runtime, name), "__int__")
        lines.append(f"class {name}:\n    def __int__(self) -> int: ...\n")
    assert set(CUDA_PROPERTIES) <= set(dir(runtime.cudaDeviceProp))
    lines.append("class cudaDeviceProp:\n" + "".join(f"    {key}: {kind}\n" for key, kind in CUDA_PROPERTIES.items()))
    return "\n".join([*lines, *(_function(getattr(runtime, name).__doc__) for name in CUDA_FUNCTIONS.split())])


def _function(documentation: str) -> str:
    """A function by the first line of its documentation and by the section that says what it returns."""
    name, inside = re.match(r"(\w+)\((.*)\)", documentation).groups()  # type: ignore[union-attr] # its own format
    parameters = ", ".join(_parameter(item) for item in inside.split(", ") if item)
    section = documentation.partition("Returns\n-------\n")[2].partition("\n---")[0]
    kinds = [line.split(" : ")[-1] for line in section.splitlines()[:-1] if re.match(r"\S", line)]
    named = ["int" if kind == "Any" else re.sub(r":py:obj:`~\.(\w+)`", r"\1", kind) for kind in kinds]  # an address
    return f"def {name}({parameters}) -> tuple[{', '.join(named)}]: ..."


def _parameter(text: str) -> str:
    """`size_t size` as `size: int`; `kind: cudaMemcpyKind` as it is; a bare name is a handle or an address."""
    if ": " in text:
        return text
    *c_type, name = text.split()
    return f"{name}: {'int' if c_type else 'object'}"


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    sys.stdout.write(tensorrt_stub(module) if "tensorrt" in sys.argv[1] else cuda_stub(module))
