# SPDX-License-Identifier: Apache-2.0
"""The variables that each kind of Keras layer has, in the order in which Keras keeps them."""

from __future__ import annotations

from grucore.converters.keras.read.config import Layer

__all__ = ["KERAS1", "RENORM", "variables"]

RENORM = ("moving_stddev", "renorm_mean", "renorm_stddev")  # by which batch norm trains
# Keras 1 kept each gate apart.
KERAS1 = {
    kind: tuple(f"{what}_{gate}" for gate in order for what in "WUb")
    for kind, order in (("GRU", "zrh"), ("LSTM", "icfo"))
}


def variables(layer: Layer) -> tuple[str, ...]:
    """The names of a layer's own variables; those of layers inside are not among them."""
    settings = layer.settings

    def if_set(name: str, setting: str) -> tuple[str, ...]:
        return (name,) if settings.get(setting, True) else ()

    # Keras 1 said "bias" for "use_bias".
    bias = if_set("bias", "use_bias" if "use_bias" in settings else "bias")
    match layer.kind:
        case "GRU" | "LSTM" if "inner_activation" in settings:
            return KERAS1[layer.kind]
        case "GRU" | "GRUCell" | "LSTM" | "LSTMCell" | "SimpleRNN" | "SimpleRNNCell":
            return ("kernel", "recurrent_kernel", *bias)
        case "CuDNNGRU" | "CuDNNLSTM":
            return ("kernel", "recurrent_kernel", "bias")
        case "Dense" | "Conv1D" | "Conv2D" | "Convolution1D" | "DepthwiseConv1D":
            return ("kernel", *bias)
        case "TimeDistributedDense":
            return ("kernel", *bias)
        case "Attention":
            return ("scale",) if settings.get("use_scale") else ()
        case "AdditiveAttention":
            return if_set("scale", "use_scale")
        case "EinsumDense":
            return ("kernel", *if_set("bias", "bias_axes"))
        case "SeparableConv1D":
            return ("depthwise_kernel", "pointwise_kernel", *bias)
        case "Embedding":
            return ("embeddings",)
        case "BatchNormalization":
            own = (*if_set("gamma", "scale"), *if_set("beta", "center"))
            renorm = RENORM if settings.get("renorm") else ()
            return (*own, "moving_mean", "moving_variance", *renorm)
        case "LayerNormalization":
            beta = () if settings.get("rms_scaling") else if_set("beta", "center")
            return (*if_set("gamma", "scale"), *beta)
        case "GroupNormalization":
            return (*if_set("gamma", "scale"), *if_set("beta", "center"))
        case "STFTSpectrogram":
            mode = settings.get("mode", "log")
            real, imaginary = ("real_kernel",), ("imag_kernel",)
            return (*(real if mode != "imag" else ()), *(imaginary if mode != "real" else ()))
        case "RMSNormalization":
            return ("scale",)
        case "SpectralNormalization":
            return ("vector_u",)
        case "PReLU":
            return ("alpha",)
        case "Normalization":
            return () if settings.get("mean") is not None else ("mean", "variance", "count")
        case _:
            return ()
