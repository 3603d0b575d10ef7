# SPDX-License-Identifier: Apache-2.0
"""The architectures that fit a file, the likeliest first, each with what it means and drops."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from grucore._core import ConversionError
from grucore.converters.torch.chain.architecture import DEFAULTS, ONE_FRAME, Step, describe
from grucore.converters.torch.chain.kinds import Layer, LinearLayer, PlainLayer, RecurrentLayer
from grucore.converters.torch.chain.layers import OF_A_MODULE, Layers
from grucore.converters.torch.chain.roles import with_loose
from grucore.converters.torch.chain.stages import Unfit, bind, chain_problem, unused

__all__ = ["MAX_LISTED", "ignoring", "with_findings"]

MAX_LISTED = 12  # layers, and lines, in an error message
MAX_PERMUTED = 5  # layers whose orders are all tried
# Names that layers in front of the recurrent ones, and behind them, often have.
FRONT = re.compile(r"(?:^|[._])(?:emb|input|in_|front|pre|stem|encoder|conv|feat)")
BEHIND = re.compile(r"(?:^|[._])(?:fc|out|head|classif|decoder|post|proj|logit|final|dense)")


@dataclass(frozen=True)
class Offer:
    """An architecture that fits, and the tensors that it leaves out."""

    steps: Sequence[Step]
    left: Sequence[str]

    def __str__(self) -> str:
        ignored = f" {ignoring(self.left)}" if self.left else ""
        dropped = f", without {', '.join(self.left[:MAX_LISTED])}" if self.left else ""
        meaning = f"({_meaning(self.steps)}{dropped})"
        return f'--architecture "{describe(self.steps)}"{ignored}  {meaning}'


def ignoring(names: Sequence[str]) -> str:
    """The options that leave out these tensors."""
    shown = " ".join(f"--ignore {shlex.quote(name)}" for name in names[:MAX_LISTED])
    return f"{shown} ..." if len(names) > MAX_LISTED else shown


def with_findings(message: str, layers: Layers) -> str:
    """The message, what the file holds, and the architectures that fit it."""
    lines = [f"{message}."]
    if layers.found or layers.strangers:
        lines.append("It holds:")
        strangers = [f"{name} {what}" for name, what in layers.strangers.items()]
        aliases = [f"{name}, the same as {layer}" for name, layer in layers.aliases.items()]
        listed = [*map(str, layers.found), *strangers, *aliases]
        lines += [f"  {line}" for line in listed[:MAX_LISTED]]
        if len(listed) > MAX_LISTED:
            lines.append(f"  and {len(listed) - MAX_LISTED} more")
    offers = _offers(layers)
    unknown = [name for name, what in layers.strangers.items() if OF_A_MODULE in what]
    if unknown and not offers:
        lines.append(f"No order of the layers says where {', '.join(unknown[:MAX_LISTED])} goes.")
    if offers:
        lines.append(
            "These fit its shapes, the likeliest first (add relu, sigmoid, tanh ... where they are "
            "used):"
        )
        lines += [f"  {offer}" for offer in offers]
        if any(offer.left for offer in offers):
            lines.append("Only the model's code says whether a tensor plays a part in it.")
    return "\n".join(lines)


def _meaning(steps: Sequence[Step]) -> str:
    """The answer of a line, in the user's words."""
    kept = {step.kind for step in steps} & set(ONE_FRAME)
    if "final" in kept:
        return "one answer per sequence, from the states at both ends"
    return "one answer per sequence, from its last frame" if kept else "an answer for each frame"


def _offers(layers: Layers) -> list[Offer]:
    """Architectures, every layer named, whose shapes chain."""
    offers: list[Offer] = []
    for steps in _chains(layers):
        for whole in with_loose(steps, layers):
            try:
                stages = bind(whole, layers)
            except (Unfit, ConversionError):
                continue
            left = unused(whole, stages, layers)
            # A module of a class that is not known is a part of the model, whatever it computes.
            foreign = any(OF_A_MODULE in layers.strangers.get(name, "") for name in left)
            if not chain_problem(stages) and not foreign:
                offers.append(Offer(whole, left))
    # A line that has a place for a tensor is likelier than one that drops it.
    offers.sort(key=lambda offer: len(offer.left))
    return offers[:MAX_LISTED]


def _chains(layers: Layers) -> Iterator[list[Step]]:
    """Orders of the layers, by likelihood: as in the file, or as their names suggest.

    An order has all layers, or, where these cannot follow each other, the most that can.
    """
    if len(layers.found) > MAX_PERMUTED:
        yield from _variants(layers.found, layers)
        return
    for count in range(len(layers.found), 0, -1):
        orders = [*permutations(layers.found, count)]
        if not layers.ordered:
            orders.sort(key=_disorder)
        fitting = [steps for order in orders for steps in _variants(order, layers)]
        if fitting:
            yield from fitting
            return


def _variants(order: Sequence[Layer], layers: Layers) -> Iterator[list[Step]]:
    """The layers in this order, with what may stand between them; nothing if they do not fit."""
    last_cell = max((i for i, each in enumerate(order) if _is_cell(each)), default=None)
    if last_cell is None:
        return
    steps = [_step_of(layer) for layer in order]
    heads = [steps]
    if isinstance(order[0], LinearLayer) and order[0].bias is None:
        # A table of an embedding looks like a product without a bias, and is the likelier one.
        heads = [[Step("embedding", order[0].name), *steps[1:]], steps]
    # The last frame of both directions is not the final states: the reverse one's stands at the
    # first.
    layer = order[last_cell]
    both = isinstance(layer, RecurrentLayer) and layer.bidirectional
    kept = [[Step("last")], *([[Step("final")]] if both else [])]
    # With one product behind it, a recurrent layer mostly gives one answer for a sequence; norms
    # and stacks of layers stand behind each frame as often.
    behind = order[last_cell + 1 :]
    is_head = len(behind) == 1 and isinstance(behind[0], LinearLayer)
    ends: list[list[Step]] = [*kept, []] if is_head else [[], *kept]
    for head in heads:
        if _fits(head, layers):
            for end in ends:
                yield [*head[: last_cell + 1], *end, *head[last_cell + 1 :]]


def _is_cell(layer: Layer) -> bool:
    return isinstance(layer, RecurrentLayer)


def _fits(steps: Sequence[Step], layers: Layers) -> bool:
    try:
        return not chain_problem(bind(steps, layers))
    except (Unfit, ConversionError):
        return False


def _disorder(order: Sequence[Layer]) -> int:
    """Pairs of layers of which the names say that they stand the other way round."""
    ranks = [bool(BEHIND.search(each.name)) - bool(FRONT.search(each.name)) for each in order]
    return sum(a > b for i, a in enumerate(ranks) for b in ranks[i + 1 :])


def _step_of(layer: Layer) -> Step:
    """A step that means the layer, with PyTorch's defaults for what is not known of it."""
    if isinstance(layer, LinearLayer):
        return Step("linear", layer.name)
    assert isinstance(layer, PlainLayer | RecurrentLayer)
    return Step(layer.kind, layer.name, {name: DEFAULTS[name] for name in layer.missing})
