# SPDX-License-Identifier: Apache-2.0
"""The model: a loaded file, run over whole sequences or streamed frame by frame."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from grucore._core import FormatError
from grucore.runtime.ports import Port, SelftestResult
from grucore.runtime.runner import Runner

if TYPE_CHECKING:
    from grucore.runtime.proof_record import Proof
    from grucore.runtime.types import Input
    from grucore.summary.describe import LayerInfo, Streamable

    class _FrontEnd(Protocol):
        @property
        def graph(self) -> Any: ...


__all__ = ["Model", "load"]

# Where the class "muladd" computes a test vector, it may differ from the file by this much; and by
# that much if a layer rounds what float layers before it give to 8 or 16 bits.
SELFTEST_BOUND, ROUNDED_SELFTEST_BOUND = 1e-5, 1e-2


class Model(Runner):
    """A trained network, ready to run: made by `load`, immutable, shared by any number of threads.

    It pickles as its file's bytes, and chooses the instruction set anew where it is unpickled.
    `bytes(model)` is the file.

    Attributes
    ----------
    isa : str
        The instruction set that it runs on, as in `supported_isas()`.
    numerics : {"fused", "muladd", "exact"}
        The class within which results have the same bits on every machine.
    nbytes : int
        Bytes of the file.
    inputs, outputs : tuple of Port
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a model is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a model is immutable: {name!r} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (bytes(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        def ports(rows: tuple[Port, ...]) -> str:
            return ", ".join(f"{row.name} ({row.features})" for row in rows)

        return (
            f"<grucore.Model {ports(self.inputs)} -> {ports(self.outputs)}, "
            f"{self.nbytes} bytes, {self.isa}>"
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """A fresh copy of what the converter wrote into the file; FormatError if it is not JSON."""
        text = self._metadata()
        try:
            found = json.loads(text) if text else {}
        except ValueError as error:
            raise FormatError(f"the metadata is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise FormatError("the metadata is not a JSON object")
        return found

    @property
    def proof(self) -> Proof | None:
        """Against what the conversion was compared, and how far they differ; None if it was not."""
        from grucore.runtime.proof_record import Proof

        found = self.metadata.get("proof")
        try:
            return None if found is None else Proof.read(found)
        except (TypeError, AttributeError) as error:
            raise FormatError(f"the metadata's proof is not one: {error}") from None

    def _described(self) -> dict[str, Any]:
        from grucore.fileformat import read
        from grucore.summary.describe import describe

        return describe(read(bytes(self)))

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Name, kind, features, parameters, weights, bytes and multiply-adds of each layer."""
        from grucore.summary.describe import layers_of

        return layers_of(self._described())

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return int(self._described()["parameters"])

    @property
    def states(self) -> dict[str, tuple[int, ...]]:
        """The shape of each state of a stream by its name, as `Stream.state` has them."""
        return {name: shape for name, shape, public in self._states() if public}

    @property
    def streamable(self) -> Streamable:
        """True if `stream` works; ``reason`` names the layer that reads the future."""
        from grucore.summary.describe import Streamable

        layer = self._unstreamable()
        return Streamable("" if layer is None else f"layer {layer!r} reads the future")

    def summary(self) -> str:
        """A text of ports, layers, parameters, bytes and multiply-adds, for a terminal."""
        from grucore.summary.page import text

        return text(f"{self.nbytes:,} bytes, {self.isa}, {self.numerics}", self._described())

    def _repr_html_(self) -> str:
        from grucore.summary.page import html

        return html(f"grucore.Model, {self.nbytes:,} bytes, {self.isa}", self._described())

    def quantize(
        self,
        kind: Literal["int8", "float16", "int4"],
        *,
        calibration: Input | None = None,
        activations: Literal[8, 16] = 16,
        max_error: float | None = None,
        sparse: bool = False,
    ) -> Model:
        """Make a smaller model of a float32 one: the same layers with smaller weights.

        Parameters
        ----------
        kind : {"int8", "float16", "int4"}
            Weights in one byte, with a scale for each row; in two; or in half a byte, with a scale
            for each row and 32 inputs. A convolution of so few channels that padding would make it
            larger than in float16 is float16 instead, an embedding is int8 where int4 is asked for,
            and weights beyond 65504 stay float32. Biases, norms and slopes are always float32.
        calibration : array_like, optional
            Frames that the model is used on, as `run` takes them; some thousand are enough. They
            make the errors of rounded weights cancel as far as these inputs go together: on trained
            models that halves the error. Nothing of them is stored.
        activations : {16, 8}
            Bits to which int8 and int4 weights have their inputs rounded, always by the largest of
            the frame: measured, that is more accurate than a range fixed by calibration.
        max_error : float, optional
            Keep the largest difference of any output from this model's within that, on the
            calibration data or else on generated signals: the worst weights become wider.
        sparse : bool
            Store and multiply of int8 weights only the blocks of 8 rows (units of one gate) and 4
            inputs that are not all 0: the same bits as whole matrices, in less time. For matrices
            of which at most 60 % of the blocks are (40 % with activations of 16 bits), in a model
            that was pruned in such blocks.

        Returns
        -------
        Model
            With a test vector of its own; `metadata["quantization"]` says what became of each
            weight, and why where it is wider than `kind`.

        Raises
        ------
        ValueError
            An unknown kind or number of bits, a negative `max_error`, a model that is quantized
            already, calibration data that the model cannot run on, or `sparse` where no weight has
            enough blocks of zeros.
        NonFiniteError
            A frame of the calibration data is NaN or infinite.
        ConversionError
            The outputs of the model are not finite on the inputs of its test vector.
        """
        from grucore.fileformat import read
        from grucore.quantize.quantize import quantize

        found = quantize(
            read(bytes(self)),
            kind,
            calibration=calibration,
            activations=activations,
            max_error=max_error,
            sparse=sparse,
        )
        return load(found.data, isa=self.isa)

    def with_front_end(self, front: _FrontEnd) -> Model:
        """Make a model that reads samples: the layers of a front end, then those of this model.

        Parameters
        ----------
        front : grucore.audio.FrontEnd
            Its features are the model's input; a frame of the result is ``front.hop_length``
            samples, and the outputs come with the hop that completes their window.

        Returns
        -------
        Model
            With the names, the states, the metadata and the proof of this one, which is of the
            network alone, and a test vector of its own; `metadata["front_end"]` has the settings.

        Raises
        ------
        ValueError
            Another number of features, more than one input, or a model with a front end.
        """
        from grucore.fileformat import read
        from grucore.graph.join import join
        from grucore.proof.proof import finish

        return load(finish(join(front.graph, read(bytes(self)))).data, isa=self.isa)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file: completely, or not at all (a temporary file beside it, then a rename)."""
        from grucore.fileformat import save

        save(path, bytes(self))

    def selftest(self) -> SelftestResult:
        """Replay the file's test vector, by `run` and, if the model streams, by `step`.

        In the numerics class "muladd" the difference must be at most 1e-5, or 1e-2 in a model that
        has int8 or int4 weights besides others; in the other classes every bit must be the file's.
        Raises GrucoreError for a mismatch, ValueError if the file has no test vector.
        """
        from grucore.runtime.selftest import replay

        return replay(
            self, ROUNDED_SELFTEST_BOUND if self._rounds_activations() else SELFTEST_BOUND
        )


def load(path_or_bytes: Any, *, isa: str | None = None, mmap: bool = False) -> Model:
    """Load a model from a `.gru` file, or from the bytes of one.

    Parameters
    ----------
    path_or_bytes : str, os.PathLike or bytes-like
        The file is read once; bytes are copied.
    isa : str, optional
        One of `supported_isas()` instead of the best; the environment's GRUCORE_ISA does the same.
    mmap : bool
        Map the file instead and use it in place: several processes share its memory. Truncating a
        mapped file may kill the processes that use it.

    Raises
    ------
    FormatError
        The file is damaged, or no model: `offset` says where, `status` why.
    UnsupportedError
        The file needs a later release, or `isa` is not available here.
    OSError
        The file cannot be read.
    """
    return Model(path_or_bytes, isa=isa or os.environ.get("GRUCORE_ISA") or None, mmap=mmap)
