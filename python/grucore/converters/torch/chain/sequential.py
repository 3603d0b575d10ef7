# SPDX-License-Identifier: Apache-2.0
"""A module tree that says how its layers follow each other: nn.Sequential, or one layer alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.torch.aten import AtenGraph
from grucore.converters.torch.chain.chain import FRAMES, Chain
from grucore.converters.torch.chain.kinds import LinearLayer, PlainLayer, RecurrentLayer
from grucore.converters.torch.chain.layers import Layers, read_layers
from grucore.converters.torch.read.modules import Tree, convolution, options_of

__all__ = ["is_plain", "sequential_graph"]

TORCH = "torch.nn.modules."
BATCH_ROWS = 1
RECURRENT = ("rnn.GRU", "rnn.LSTM", "rnn.RNN")

# Modules without weights: the function, and the settings that become its arguments.
_FUNCTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "activation.ReLU": ("relu", {}),
    "activation.ReLU6": ("relu6", {}),
    "activation.Sigmoid": ("sigmoid", {}),
    "activation.Tanh": ("tanh", {}),
    "activation.SiLU": ("silu", {}),
    "activation.SELU": ("selu", {}),
    "activation.Softsign": ("softsign", {}),
    "activation.LogSigmoid": ("logsigmoid", {}),
    "activation.Hardsigmoid": ("hardsigmoid", {}),
    "activation.Hardswish": ("hardswish", {}),
    "activation.GELU": ("gelu", {"approximate": "approximate"}),
    "activation.ELU": ("elu", {"alpha": "alpha"}),
    "activation.LeakyReLU": ("leaky_relu", {"negative_slope": "negative_slope"}),
    "activation.Hardtanh": ("hardtanh", {"min_val": "min_val", "max_val": "max_val"}),
    "activation.Softplus": ("softplus", {"beta": "beta", "threshold": "threshold"}),
    "activation.GLU": ("glu", {"dim": "dim"}),
    "activation.Softmax": ("softmax", {"dim": "dim"}),
    "activation.LogSoftmax": ("log_softmax", {"dim": "dim"}),
}
_NOTHING = (
    *(
        "dropout.Dropout",
        "dropout.Dropout1d",
        "dropout.AlphaDropout",
        "dropout.FeatureAlphaDropout",
    ),
    "linear.Identity",
)
_WEIGHTED = (
    *RECURRENT,
    *("linear.Linear", "sparse.Embedding", "conv.Conv1d", "normalization.LayerNorm"),
    *("batchnorm.BatchNorm1d", "activation.PReLU"),
)
SEQUENTIAL = "container.Sequential"


def _name(tree: Tree) -> str:
    return tree.kind.removeprefix(TORCH)


def is_plain(tree: Tree) -> bool:
    """True if the classes alone say what the module computes: all of them are torch's."""
    if _name(tree) == SEQUENTIAL:
        return all(is_plain(child) for child in tree.children.values())
    return _name(tree) in (*_FUNCTIONS, *_NOTHING, *_WEIGHTED) and not tree.children


def sequential_graph(tree: Tree) -> AtenGraph:
    """The graph of such a module, at a length that nothing in it depends on.

    Raises `ConversionError` where it does not say how many features it reads.
    """
    steps = list(_steps(tree, ""))
    chain: Chain | None = None
    for place, (path, module) in enumerate(steps):
        if chain is None:
            chain = _start([each for _, each in steps[place:]])
        if _name(module) in RECURRENT and place + 1 < len(steps):
            following = f"{steps[place + 1][1].kind} {steps[place + 1][0]!r}"
            kind = _name(module).rpartition(".")[2]
            raise ConversionError(f"{kind} {path!r} gives a tuple, which {following} cannot read")
        _append(chain, path, module)
    if chain is None:
        raise ConversionError("an empty nn.Sequential")
    return chain.graph()


def _steps(tree: Tree, path: str) -> Any:
    if _name(tree) == SEQUENTIAL:
        for name, child in tree.children.items():
            yield from _steps(child, f"{path}.{name}" if path else name)
    elif _name(tree) not in _NOTHING:
        yield path, tree


def _start(modules: list[Tree]) -> Chain:
    """The input, by the first layer that says how many features it reads."""
    for module in modules:
        name = _name(module)
        if name == "sparse.Embedding":
            return Chain((BATCH_ROWS, FRAMES), "int64", frames_last=True)
        if name in ("conv.Conv1d", "batchnorm.BatchNorm1d"):
            size = module.setting("in_channels" if name == "conv.Conv1d" else "num_features")
            return Chain((BATCH_ROWS, int(size), FRAMES), "float32", frames_last=True)
        if name in ("linear.Linear", *RECURRENT):
            size = module.setting("in_features" if name == "linear.Linear" else "input_size")
            shape = (BATCH_ROWS, FRAMES, int(size))
            if name in RECURRENT and not module.setting("batch_first"):
                shape = (FRAMES, BATCH_ROWS, int(size))
            return Chain(shape, "float32", frames_last=True)
        if name == "normalization.LayerNorm":
            shape = module.setting("normalized_shape")
            return Chain((BATCH_ROWS, FRAMES, math.prod(shape)), "float32", frames_last=True)
    raise ConversionError("no layer says how many features go in")


def _append(chain: Chain, path: str, module: Tree) -> None:
    name = _name(module)
    if name in _FUNCTIONS:
        kind, settings = _FUNCTIONS[name]
        chain.function(kind, {key: module.setting(own) for key, own in settings.items()})
        return
    prefix = path or name.rpartition(".")[2].lower()
    state = {f"{prefix}.{key}": tensor for key, tensor in module.tensors.items()}
    layers = read_layers(state, options={prefix: options_of(module).get("", {})})
    _check_tensors(prefix, module, layers)
    with at(f"{name} {prefix!r}"):
        _WRITERS[name](chain, prefix, module, layers)


_WHOLE = {"linear.Linear": LinearLayer, **dict.fromkeys(RECURRENT, RecurrentLayer)}
_WHOLE |= {"conv.Conv1d": PlainLayer}


def _check_tensors(prefix: str, module: Tree, layers: Layers) -> None:
    """Raise `ConversionError` for a layer that has other tensors than its class."""
    name = _name(module)
    kind = _WHOLE.get(name)
    found = [type(layer) for layer in layers.found]
    is_bare = kind is None and name != "normalization.LayerNorm" and "batchnorm" not in name
    if (kind is not None and found != [kind]) or (is_bare and "weight" not in module.tensors):
        tensors = ", ".join(f"{key} {each.shape}" for key, each in module.tensors.items())
        raise ConversionError(f"{prefix} is a {name} with the tensors {tensors or 'none'}")


def _linear(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    (layer,) = layers.found
    assert isinstance(layer, LinearLayer)  # as _check_tensors found
    chain.linear(layer)


def _recurrent(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    (layer,) = layers.found
    assert isinstance(layer, RecurrentLayer)
    if module.settings.get("proj_size", 0):
        raise ConversionError(f"{prefix} has proj_size {module.settings['proj_size']}, expected 0")
    if layer.input_size != module.setting("input_size"):
        raise ConversionError(f"{prefix} has weights for {layer.input_size} features")
    chain.recurrent(layer, batch_first=bool(module.setting("batch_first")))


def _embedding(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    if module.settings.get("max_norm") is not None:
        raise ConversionError(f"{prefix} has max_norm, expected none")
    tensors = {"weight": module.tensors["weight"]}
    chain.plain(PlainLayer(kind="embedding", prefix=prefix, tensors=tensors))


def _conv1d(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    (layer,) = layers.found
    assert isinstance(layer, PlainLayer)
    chain.plain(
        PlainLayer(kind="conv1d", prefix=prefix, tensors=layer.tensors, options=convolution(module))
    )


def _norm(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    kind = "layer_norm" if "Layer" in module.kind else "batch_norm"
    options = {"eps": float(module.setting("eps"))}
    if not layers.found and kind == "layer_norm":
        raise ConversionError(f"{prefix} has no weight and bias")
    tensors = {
        name: module.tensors[name]
        for name in ("running_mean", "running_var", "weight", "bias")
        if name in module.tensors
    }
    chain.plain(PlainLayer(kind=kind, prefix=prefix, tensors=tensors, options=options))


def _prelu(chain: Chain, prefix: str, module: Tree, layers: Layers) -> None:
    tensors = {"weight": module.tensors["weight"]}
    chain.plain(PlainLayer(kind="prelu", prefix=prefix, tensors=tensors))


_Writer = Callable[[Chain, str, Tree, Layers], None]
_WRITERS: Mapping[str, _Writer] = {
    "linear.Linear": _linear,
    **dict.fromkeys(RECURRENT, _recurrent),
    "sparse.Embedding": _embedding,
    "conv.Conv1d": _conv1d,
    "normalization.LayerNorm": _norm,
    "batchnorm.BatchNorm1d": _norm,
    "activation.PReLU": _prelu,
}
