# SPDX-License-Identifier: Apache-2.0
"""Which function writes which kind of layer; what cannot be written is refused by name."""

from __future__ import annotations

from collections.abc import Callable

from grucore.export.layers import attention, combine, dense, features, gru, lstm, rnn, sound, time
from grucore.export.unit import Call
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Affine,
    ArgMax,
    Attention,
    Binary,
    Concat,
    Conv1d,
    Delay,
    Dense,
    Embedding,
    Expand,
    Filterbank,
    Flip,
    Gru,
    Irfft,
    LayerNorm,
    Lstm,
    Mask,
    OverlapAdd,
    Pool,
    Pool1d,
    Recurrent,
    Rfft,
    Rnn,
    Select,
    Softmax,
    Take,
    Window,
)
from grucore.graph.node import Node

__all__ = ["WRITERS", "check_exportable"]

WRITERS: dict[type[Node], Callable[[Call], None]] = {
    Gru: gru.write_gru,
    Lstm: lstm.write_lstm,
    Rnn: rnn.write_rnn,
    Dense: dense.write_dense,
    Take: time.write_take,
    Concat: combine.write_concat,
    Embedding: combine.write_embedding,
    ArgMax: combine.write_arg_max,
    Activate: features.write_activation,
    Softmax: features.write_softmax,
    LayerNorm: features.write_layer_norm,
    Affine: features.write_affine,
    Binary: combine.write_binary,
    Select: combine.write_select,
    Pool: time.write_pool,
    Mask: time.write_mask,
    Conv1d: dense.write_conv1d,
    Pool1d: time.write_pool1d,
    Delay: time.write_delay,
    Window: sound.write_window,
    Rfft: sound.write_rfft,
    Filterbank: sound.write_filterbank,
    Irfft: sound.write_irfft,
    OverlapAdd: sound.write_overlap_add,
    Attention: attention.write_attention,
}
MAX_OUTPUTS = 32  # bits of what a step returns


def check_exportable(graph: Graph) -> None:
    """Raise ValueError that names the layer for which there is no code, and the way out."""
    for node in graph.nodes:
        if not node.streamable:
            way = (
                "leave what needs the whole sequence out of the model"
                if isinstance(node, Expand)
                else "leave the reversed direction out of the model before it is converted"
                if isinstance(node, Recurrent | Flip)
                else "pad it on the left alone, so that it is causal"
            )
            raise ValueError(
                f"layer {node.name!r} ({node.layer}) reads frames that come later, and code for "
                f"one frame at a time cannot: {way}, or use target 'engine', which runs sequences"
            )
        if type(node) not in WRITERS:
            raise ValueError(
                f"layer {node.name!r}: {node.layer} has no code in C yet; use target 'engine'"
            )
    if len(graph.outputs) > MAX_OUTPUTS:
        raise ValueError(
            f"{len(graph.outputs)} outputs, expected at most {MAX_OUTPUTS}: a step answers with a "
            "bit for each"
        )
