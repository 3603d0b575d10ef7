# SPDX-License-Identifier: Apache-2.0
"""Sound: STFT and DFT, whose last axis has real and imaginary parts."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work, number_of
from grucore.converters.onnx.read.source import OnnxNode, Source
from grucore.converters.trace.axes import Data, Operand, Unfit
from grucore.converters.trace.ops.spectra import parts, short_time, transformed
from grucore.converters.trace.ops.views import axis_of, squeezed

__all__ = ["SOUND", "hops"]


def hops(source: Source) -> list[int]:
    """The numbers of samples from one frame to the next, where the file makes frames of them."""
    found = []
    for node in source.nodes:
        step = source.constants.get(node.inputs[1]) if node.op == "STFT" else None
        if step is not None and step.size == 1 and step.reshape(-1)[0] > 0:
            found.append(int(step.reshape(-1)[0]))
    return list(dict.fromkeys(found))


def _real(work: Work, operand: Operand | None) -> Data:
    """A signal (..., 1) without its last axis."""
    data = work.data(operand)
    if not data.is_features(-1) or data.index.shape[-1] != 1:
        raise Unfit(f"transforms {data.text}, expected real numbers: a last axis of 1")
    return work.data(squeezed(work, data, [data.rank - 1]))


def _whole(work: Work, operand: Operand | None, what: str) -> int:
    array = work.constant(operand, what)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise Unfit(f"{what} is {array!r:.60}, expected one whole number")
    return int(array.reshape(-1)[0])


def _stft(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    signal, step, window, size = (*operands, None, None)[:4]
    if not node.get("onesided", 1):
        raise Unfit("attribute onesided is 0, expected 1")
    weight = None if window is None else work.weights(window, "window").reshape(-1)
    if size is not None:
        length = _whole(work, size, "frame_length")
    elif weight is not None:
        length = len(weight)
    else:
        raise Unfit("it has neither a window nor a length of frames")
    numbers = np.ones(length) if weight is None else weight
    if len(numbers) != length:
        raise Unfit(f"its window has {len(numbers)} numbers for frames of {length}")
    x = _real(work, signal)
    hop = _whole(work, step, "frame_step")
    return parts(work, short_time(work, x, x.rank - 1, length, hop, numbers))


def _dft(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    signal, size, axis = (*operands, None, None)[:3]
    if node.get("inverse", 0) or not node.get("onesided", 0):
        raise Unfit("it is inverse or of both sides, expected onesided=1 of real numbers")
    given = work.data(signal)
    place = node.get("axis", 1 if work.opset < 20 else -2)
    if axis is not None:
        place = int(number_of(work, np.asarray(axis, np.float64), "axis"))
    at = axis_of(place, given.rank)
    if at == given.rank - 1:
        raise Unfit("it goes along the axis of real and imaginary parts")
    length = None if size is None else _whole(work, size, "dft_length")
    return parts(work, transformed(work, _real(work, given), at, length))


SOUND: Table = {
    "STFT": (_stft, ("onesided",)),
    "DFT": (_dft, ("axis", "inverse", "onesided")),
}
