# SPDX-License-Identifier: Apache-2.0
"""Mutates small source programs and converts each mutant on every route.

    python tests/converters/doors/meanings.py [--count N] [--seed S] [--only TEXT] [SUBJECT ...]
    python tests/converters/doors/meanings.py torch --route live --write results.json

A mutant is converted right, which its own framework says and no part of grucore, or it is refused
in words. Prints the counts of each subject and every finding, and exits with 1 if there is any:
another result than the framework's, a raw exception, or an internal object in a message. The
second line runs one route, and keeps its counts beside those of others in a file: for a page of
docs, benchmarks/results/meanings.json.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import random
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "SUBJECTS",
    "NoProgram",
    "Outcome",
    "Rule",
    "Subject",
    "mutants",
    "report",
    "rules",
    "tried",
]

SUBJECTS = ("torch", "torch_states", "torch_more", "keras", "keras_more", "onnx")
INTERNAL = re.compile(r"object at 0x|<class '|<function |Traceback|array\(\[")
MUTANTS = 20


class NoProgram(Exception):
    """The framework itself cannot run, or not store, the mutant: there is nothing to convert."""


@dataclass(frozen=True)
class Rule:
    """A change of a text: the pattern, and what may stand in its place."""

    pattern: str
    replacements: Sequence[str]


def rules(text: str) -> tuple[Rule, ...]:
    """Rules from lines: a pattern, and indented below it what may stand in its place.

    Replacements are separated by " | "; "(nothing)" is the empty one.
    """
    found: list[tuple[str, list[str]]] = []
    for line in text.strip("\n").split("\n"):
        if line.startswith("    "):
            some = line.strip().split(" | ")
            found[-1][1].extend("" if each == "(nothing)" else each for each in some)
        else:
            found.append((line, []))
    return tuple(Rule(pattern, replacements) for pattern, replacements in found)


class Subject(Protocol):
    """Source programs of one framework, and the ways from each to a model."""

    PROGRAMS: Mapping[str, str]
    RULES: Sequence[Rule]
    ROUTES: Sequence[str]

    def prepared(self, name: str, text: str) -> Callable[[str], None]:
        """Run a program; the function converts it on a route and compares.

        Both raise `NoProgram`; the function raises what the conversion raises, and AssertionError
        where the model computes something else.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """The outcome of one mutant on one route."""

    program: str
    change: str
    route: str
    kind: str  # right, refused, none, or a finding: wrong, raw, internal
    said: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("right", "refused", "none")


def mutants(text: str, rules: Iterable[Rule]) -> dict[str, str]:
    """Every text that one change makes, by words for the change."""
    found: dict[str, str] = {}
    seen = {text}
    for rule in rules:
        for place, match in enumerate(re.finditer(rule.pattern, text, re.MULTILINE)):
            for replacement in rule.replacements:
                new = match.expand(replacement)
                changed = text[: match.start()] + new + text[match.end() :]
                if changed not in seen:
                    seen.add(changed)
                    old = " ".join(match.group().split())
                    found[f"{old} -> {' '.join(new.split())} ({place})"] = changed
    return found


def chosen(text: str, rules: Sequence[Rule], seed: str) -> Iterator[tuple[str, str]]:
    """The mutants in an order that is drawn, but takes every rule in turn."""
    generator = random.Random(seed)
    by_rule = [list(mutants(text, [rule]).items()) for rule in rules]
    for each in by_rule:
        generator.shuffle(each)
    generator.shuffle(by_rule)
    seen = {text}
    while any(by_rule):
        for each in by_rule:
            change, mutant = each.pop() if each else ("", text)
            if mutant not in seen:  # two rules may make the same
                seen.add(mutant)
                yield change, mutant


def tried(
    subject: Subject,
    count: int,
    seed: int,
    *,
    only: str = "",
    routes: Sequence[str] = (),
    spread: bool = False,
    plain: bool = True,
) -> Iterator[Outcome]:
    """The outcomes of every program and ``count`` mutants of each.

    On all ``routes``, or those of the subject; with ``spread`` on one of them each, in turn.
    Without ``plain`` the mutants alone.
    """
    routes = routes or subject.ROUTES
    turn = 0
    for name, text in subject.PROGRAMS.items():
        if only not in name:
            continue
        left = count if plain else count - 1
        first = (("", text),) if plain else ()
        for change, mutant in (*first, *chosen(text, subject.RULES, f"{seed} {name}")):
            if left < 0:
                break
            runs = False
            some = [routes[turn % len(routes)]] if spread else routes
            for outcome in _of_mutant(subject, name, change, mutant, some):
                runs = runs or outcome.kind != "none"
                yield outcome
            left -= runs
            turn += runs


def _of_mutant(
    subject: Subject, name: str, change: str, text: str, routes: Sequence[str]
) -> Iterator[Outcome]:
    import grucore

    refusals = (grucore.ConversionError, grucore.UnsupportedError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            convert = subject.prepared(name, text)
        except NoProgram as error:
            yield Outcome(name, change, "", "none", str(error))
            return
        for route in routes:
            kind, said = "right", ""
            try:
                convert(route)
            except NoProgram as error:
                kind, said = "none", str(error)
            except refusals as error:
                said = str(error)
                kind = "internal" if INTERNAL.search(said) else "refused"
            except AssertionError as error:
                kind, said = "wrong", str(error)
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = "raw"
                said = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
            yield Outcome(name, change, route, kind, said)


def report(outcomes: Iterable[Outcome], log: Any = None) -> tuple[dict[str, Any], list[Outcome]]:
    """Counts, and the findings; each outcome goes to ``log`` as a line of JSON."""
    kinds: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    findings = []
    programs, changed = set(), set()
    by_route = collections.defaultdict(set)
    for outcome in outcomes:
        if log is not None:
            print(json.dumps(outcome.__dict__), file=log, flush=True)
        if outcome.route:
            kinds[outcome.route][outcome.kind] += 1
            programs.add(outcome.program)
            changed.add((outcome.program, outcome.change))
            if outcome.kind != "none":
                by_route[outcome.route].add(outcome.program)
        if outcome.is_finding:
            findings.append(outcome)
    for route, some in by_route.items():
        kinds[route]["programs"] = len(some)
    return {"programs": len(programs), "mutants": len(changed), "routes": kinds}, findings


def written(path: Path, name: str, given: argparse.Namespace, counts: Mapping[str, Any]) -> None:
    """Keep the counts of a subject's routes in a file, beside those that are there."""
    about = {"seed": given.seed, "mutants of a program": given.count}
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if {key: found.get(key) for key in about} != about:
        found = {**about, "routes": {}}  # of other mutants
    for route, kinds in counts["routes"].items():
        found["routes"].setdefault(route, {})[name] = dict(sorted(kinds.items()))
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")


def _line(text: str) -> str:
    return f"{' / '.join(text.split(chr(10))):.400}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Converts mutants of small programs.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT")
    parser.add_argument("--count", type=int, default=MUTANTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="programs whose name has this in it")
    parser.add_argument("--route", action="append", default=[])
    parser.add_argument("--write", type=Path, help="a file of counts, for all programs of a route")
    parser.add_argument("--log", type=Path, help="a line of JSON for each outcome")
    given = parser.parse_args()
    failed = 0
    for name in given.subjects or SUBJECTS:
        started = time.monotonic()
        subject = importlib.import_module(f"converters.doors.meanings_{name}")
        log = given.log.open("a") if given.log else None
        outcomes = tried(subject, given.count, given.seed, only=given.only, routes=given.route)
        counts, findings = report(outcomes, log)
        failed += len(findings)
        if given.write:
            written(given.write, name, given, counts)
        seconds = time.monotonic() - started
        print(
            f"{name}: {counts['programs']} programs, {counts['mutants']} mutants, {seconds:.0f} s"
        )
        for route, kinds in counts["routes"].items():
            print(f"  {route}: {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}")
        for each in findings:
            print(f"  {each.kind}: {each.program} [{each.change}] {each.route}: {_line(each.said)}")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    from converters.doors import meanings  # the one whose classes the subjects know

    sys.exit(meanings.main())
