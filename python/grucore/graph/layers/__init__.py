# SPDX-License-Identifier: Apache-2.0
"""The layer kinds of a model: one class each, with attributes, tensors and their layouts.

Every one takes ``name=``, ``inputs=`` (names of values) and ``output=`` (name of a value) besides
what stands here; all arguments go by name, arrays are float32 unless said otherwise. weight,
weight_ih, weight_hh and table may also be float16 or `Quantized` (`graph.weights`); Gru, Lstm, Rnn,
Dense and Conv1d then take input_range=None as well, a float.

    Gru(weight_ih (3 H, I), weight_hh (3 H, H), bias (4 H,) or (3 H,), cell=Cell.RESET_AFTER,
        direction=Direction.FORWARD, gate_activation=Activation.SIGMOID,
        activation=Activation.TANH, masked_output=MaskedOutput.REPEAT, initial_state=None (H,));
        inputs: x, or x and a mask; rows in the order r, z, n
    Lstm(weight_ih (4 H, I), weight_hh (4 H, H), bias (4 H,), direction, masked_output,
        gate_activation, activation and initial_state as Gru, cell_activation=Activation.TANH,
        initial_cell=None (H,)); inputs as Gru; rows in the order i, f, g, o
    Rnn(weight_ih (H, I), weight_hh (H, H), bias (H,), direction, masked_output, activation and
        initial_state as Gru); inputs as Gru
    Dense(weight (out, in), bias (out,), activation=Activation.LINEAR)
    Conv1d(weight (out, taps, in / groups), bias (out,), dilation=1, stride=1, groups=1,
        before=0, after=0, activation=Activation.LINEAR); oldest tap first
    Embedding(table (ids, width)); reads int32
    ArgMax(groups=1); writes int32
    Activate(activation, slope=None (features,))
    Softmax(logarithm=False)
    LayerNorm(scale (features,), shift (features,), epsilon)
    Affine(scale (features,), shift (features,))
    Binary(operation: Operation.ADD, SUBTRACT, MULTIPLY, MAXIMUM or MINIMUM); two inputs
    Concat(); two or more inputs
    Select(index (features,) int32)
    Take(position=Position.LAST), Pool(pooling=Pooling.MEAN); one value per sequence
    Pool1d(taps, stride=1, pooling=Pooling.MEAN); over a window of frames
    Mask(bits=0); bits=float32_bits(number) where it reads float32
    Flip(); Expand(), of a value with the frames and one per sequence
    Delay(frames=1, initial_state=None (frames, features)); may read what a later layer writes
    Window(weight (samples,), delay=0, lost=0, emphasis=0.0); a frame is a hop of samples
    Rfft(length, spectrum=Spectrum.POWER, MAGNITUDE or COMPLEX)
    Filterbank(weight (count,), index (features, 2) int32), or Filterbank.of_matrix
    Irfft(length); reads real parts, then imaginary parts
    OverlapAdd(weight (samples,), hop); a frame of the output is a hop of samples
    Attention(frames, features, width, heads=1, scale=1.0, initial_state=None (frames, features);
        additive with weight (K, features), bias (K,), vector (K,)); over a memory set as a state

`Node.written` gives the value that a layer writes: ``node.written(*inputs)``.
"""

from __future__ import annotations

from grucore.graph.layers.activations import Activation, ActivationCode
from grucore.graph.layers.attention import Attention
from grucore.graph.layers.combine import ArgMax, Binary, Concat, Embedding, Operation, Select
from grucore.graph.layers.delay import Delay
from grucore.graph.layers.dense import Conv1d, Dense
from grucore.graph.layers.features import Activate, Affine, LayerNorm, Softmax
from grucore.graph.layers.gru import Cell, Gru
from grucore.graph.layers.lstm import Lstm
from grucore.graph.layers.recurrent import Direction, MaskedOutput, Recurrent
from grucore.graph.layers.rnn import Rnn
from grucore.graph.layers.sound import Filterbank, OverlapAdd, Window
from grucore.graph.layers.spectrum import Irfft, Rfft, Spectrum, is_fast
from grucore.graph.layers.time import Expand, Flip, Mask, Pool, Pool1d, Pooling, Position, Take
from grucore.graph.node import Node

__all__ = [
    "KINDS",
    "Activate",
    "Activation",
    "ActivationCode",
    "Affine",
    "ArgMax",
    "Attention",
    "Binary",
    "Cell",
    "Concat",
    "Conv1d",
    "Delay",
    "Dense",
    "Direction",
    "Embedding",
    "Expand",
    "Filterbank",
    "Flip",
    "Gru",
    "Irfft",
    "LayerNorm",
    "Lstm",
    "Mask",
    "MaskedOutput",
    "Operation",
    "OverlapAdd",
    "Pool",
    "Pool1d",
    "Pooling",
    "Position",
    "Recurrent",
    "Rfft",
    "Rnn",
    "Select",
    "Softmax",
    "Spectrum",
    "Take",
    "Window",
    "is_fast",
]

# The one list of layer kinds: the reader, the writer and the reference go by it.
_CLASSES: tuple[type[Node], ...] = (
    Gru,
    Dense,
    Take,
    Concat,
    Embedding,
    Activate,
    Softmax,
    LayerNorm,
    Affine,
    Binary,
    Select,
    Pool,
    Mask,
    Flip,
    Conv1d,
    Pool1d,
    Lstm,
    Rnn,
    Delay,
    Window,
    Rfft,
    Filterbank,
    Irfft,
    OverlapAdd,
    ArgMax,
    Attention,
    Expand,
)
KINDS: dict[int, type[Node]] = {cls.kind: cls for cls in _CLASSES}
