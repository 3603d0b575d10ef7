# SPDX-License-Identifier: Apache-2.0
"""Names in pickles: they stay inert, and those that no checkpoint has are refused."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
from pathlib import Path

import pytest

import grucore
from converters.torch.pickles import Call, nothing_runs, zipped
from grucore.converters.source import LEGACY_START
from grucore.converters.torch.read import checkpoint as torch_pickle
from models.readers import checkpoint_in

GOLDEN = Path(__file__).parents[2] / "golden" / "torch"


def test_the_watch_sees_what_the_own_unpickler_of_python_does() -> None:
    content = pickle.dumps(Call(print, ""), 2)
    with pytest.raises(AssertionError), nothing_runs():
        pickle.loads(content)


CALLS = {
    "posix.system": Call(os.system, "exit 1"),
    "exec": Call(exec, "raise SystemExit"),
    "eval": Call(eval, "1 + 1"),
    "io.open": Call(open, "/etc/hostname"),
    "__import__": Call(__import__, "antigravity"),
    "Popen": Call(subprocess.Popen, "exit 1"),
}
INERT = {
    "getattr": Call(getattr, (), "__class__"),
    "of a package": Call(pytest.main, "."),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", sorted(INERT))
def test_calls_stay_inert(name: str, protocol: int) -> None:
    content = pickle.dumps({"call": INERT[name], "more": [INERT[name]]}, protocol)
    data = zipped(content)
    with nothing_runs():
        found = checkpoint_in(data)
    assert repr(found["call"]).startswith("<")
    assert isinstance(found["call"], torch_pickle.Inert)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_functions_of_the_library_are_refused_even_where_they_are_dropped(
    name: str, protocol: int
) -> None:
    call, ordinary = pickle.dumps(CALLS[name], protocol), pickle.dumps({}, protocol)
    start = 2 if protocol else 0  # after the opcode of the protocol
    dropped = call[:-1] + b"0" + ordinary[start:]  # POP in place of STOP
    for content in (pickle.dumps({"call": CALLS[name]}, protocol), dropped):
        with pytest.raises(grucore.ConversionError, match=f"names '.*{name}'"), nothing_runs():
            checkpoint_in(zipped(content))


def test_lost_memory_is_not_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pickletools, "genops", lost)
    with pytest.raises(MemoryError):
        grucore.convert(GOLDEN / "gru.pt")


T = LEGACY_START


def test_a_call_in_a_legacy_file_stays_inert() -> None:
    plain = [pickle.dumps(item, 2) for item in (1001, {"little_endian": True})]
    call = pickle.dumps(INERT["getattr"], 2)
    data = T + b"." + b"".join(plain) + call + pickle.dumps([], 2)
    with nothing_runs():
        found = checkpoint_in(data)
    assert isinstance(found, torch_pickle.Inert)
    with pytest.raises(grucore.ConversionError, match="of protocol <"), nothing_runs():
        checkpoint_in(T + b"." + call * 4)
    system = T + b"." + b"".join(plain) + pickle.dumps(CALLS["posix.system"], 2)
    with pytest.raises(grucore.ConversionError, match=r"posix\.system"), nothing_runs():
        checkpoint_in(system)
