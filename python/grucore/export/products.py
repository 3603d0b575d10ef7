# SPDX-License-Identifier: Apache-2.0
"""Products of a frame with weights of any kind, and activations, as statements of C."""

from __future__ import annotations

from dataclasses import dataclass, replace

from grucore.export.literals import float_text
from grucore.export.packing import Panels, pack
from grucore.export.unit import Unit
from grucore.graph.layers import Activation, ActivationCode
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized, Weight

__all__ = ["Product", "activated", "panels_of", "quantized"]

INT8_BLOCK = 1024  # inputs whose products are summed exactly
_PARAMETERS = {
    ActivationCode.LEAKY_RELU: 1,
    ActivationCode.ELU: 1,
    ActivationCode.HARD_SIGMOID: 2,
    ActivationCode.CLIP: 2,
    ActivationCode.LOG: 2,
    ActivationCode.LOG1P: 2,
}

# Whose name is that of the function without parameters.
_NAMES = {ActivationCode.LOG: "scaled_log", ActivationCode.LOG1P: "scaled_log1p"}


def activated(activation: Activation, x: str) -> str:
    """The expression of an activation of an expression."""
    if activation.code is ActivationCode.LINEAR:
        return x
    numbers = (activation.alpha, activation.beta)[: _PARAMETERS.get(activation.code, 0)]
    name = _NAMES.get(activation.code, activation.name)
    return f"gc_{name}({', '.join([x, *map(float_text, numbers)])})"


def quantized(
    weight: Quantized,
    target: str,
    x: str,
    inputs: int,
    padded: int,
    *,
    least: float = 0.0,
    fixed: float | None = None,
) -> str:
    """The expression that quantizes so many activations: it is their scale."""
    levels = float_text(127 if weight.activations == 8 else 16383)
    sizes = f"{target}, {x}, {inputs}, {padded}, {levels}"
    if fixed is None:
        return f"gc_quantize({sizes}, {float_text(least)})"
    return f"gc_quantize_fixed({sizes}, {float_text(fixed)})"


@dataclass(frozen=True)
class Product:
    """A packed matrix as C reads it: names of its constants, and of the local quantized inputs.

    ``declare``: a line that declares what `prepare` fills in; both empty for float weights.
    """

    kernel: str
    panels: Panels
    data: str
    scale: str
    local: str
    declare: str
    weight: Weight
    columns: int

    def prepare(self, x: str, *, least: float = 0.0, fixed: float | None = None) -> str:
        """The statement that quantizes the inputs, if that is needed."""
        if not isinstance(self.weight, Quantized):
            return ""
        q, padded = f"q_{self.local}", self.panels.inputs
        scale = quantized(self.weight, q, x, self.columns, padded, least=least, fixed=fixed)
        return f"s_{self.local} = {scale};"

    def multiply(self, y: str, x: str, count: int, index: str = "") -> str:
        """The statement that adds the product to ``y``: ``count`` panels, of those from ``index *
        count`` on. Scales that all share have no such place."""

        def offset(step: int) -> str:
            return f" + {count * step} * {index}" if index and step else ""

        data = f"{self.data}{offset(self.panels.data_step)}"
        if not isinstance(self.weight, Quantized):
            return f"{self.kernel}({y}, {data}, {x}, {self.panels.inputs}, {count});"
        scale = f"{self.scale}{offset(self.panels.scale_step)}"
        local = f"q_{self.local}, s_{self.local}"
        return f"{self.kernel}({y}, {data}, {scale}, {local}, {self.panels.inputs}, {count});"


def panels_of(
    unit: Unit,
    name: str,
    local: str,
    weight: Weight,
    gates: int = 1,
    order: tuple[int, ...] = (0,),
    *,
    shared_scale: int = 0,
) -> Product:
    """The weights of a layer (gates x rows, inputs) as constants of the unit.

    ``local``: what the function calls its quantized inputs by. ``shared_scale``: so many rows of
    int8 have scales, which repeat.
    """
    panels = pack(weight, gates=gates, order=order)
    if shared_scale and panels.scale is not None:
        panels = replace(panels, scale=panels.scale[:shared_scale], scale_step=0)
    data, scale, declare = unit.constant(name, panels.data), "", ""
    if panels.scale is not None:
        scale = unit.constant(f"{name}_scale", panels.scale)
        declare = f"int16_t GC_ALIGN q_{local}[{panels.inputs}];\nfloat s_{local};"
    return Product(
        kernel=_kernel(weight),
        panels=panels,
        data=data,
        scale=scale,
        local=local,
        declare=declare,
        weight=weight,
        columns=weight.shape[1],
    )


def _kernel(weight: Weight) -> str:
    if not isinstance(weight, Quantized):
        return "gc_product_f16" if weight.dtype == Dtype.FLOAT16.numpy else "gc_product_f32"
    if weight.dtype is Dtype.INT4:
        return "gc_product_i4"
    return "gc_product_i8_long" if weight.shape[1] > INT8_BLOCK else "gc_product_i8"
