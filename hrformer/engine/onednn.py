"""Operations of oneDNN that torch's own compiler uses on CPUs, without the compiler; float32."""

import warnings
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.jit import is_tracing  # type: ignore[attr-defined]

P = ParamSpec("P")
T = TypeVar("T")


def _traceable(function: Callable[P, T]) -> Callable[P, T]:
    """The function; within a recording its TorchScript: a tracer does not know what `[]` holds."""

    @cache
    def scripted() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript as a whole
            return torch.jit.script(function)

    @wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        called: Callable[P, T] = scripted() if is_tracing() else function  # type: ignore[no-untyped-call]
        return called(*arguments, **named)

    return call


@_traceable
def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: list[int],
    stride: list[int],
    dilation: list[int],
    groups: int,
    activation: str,
) -> Tensor:
    """A convolution `(batch, channels, height, width)`, then "none", "relu" or "gelu"."""
    algorithm = "none" if activation == "gelu" else ""
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001  # Inductor calls it by this name
        x, weight, bias, padding, stride, dilation, groups, activation, [], algorithm
    )
    return result


@_traceable
def convolve_onto(
    x: Tensor,
    other: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: list[int],
    stride: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """ReLU of a convolution plus another map."""
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
        x, other, weight, bias, padding, stride, dilation, groups, "add", 1.0, "relu", [], ""
    )
    return result


@_traceable
def multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer, `(…, inputs)` → `(…, outputs)`."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # noqa: SLF001
    return result
