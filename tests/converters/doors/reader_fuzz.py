# SPDX-License-Identifier: Apache-2.0
"""Damages golden files of every format and gives them to the readers, in a process that is watched.

    python tests/converters/doors/reader_fuzz.py [--count N] [--seed S] [--keep FOLDER] [READER ...]

Prints a line for each reader and exits with 1 if anything but a model or a documented error came of
a file, if a call took more than 10 seconds, or more memory than 1 GiB or 50 times the file.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "golden"
READERS = {
    "torch": ("torch/*.pt", "torch_models/sequential.pt"),
    "torchscript": ("torch_models/*_script.pt",),
    "pt2": ("torch_models/*.pt2",),
    "safetensors": ("torch/gru.pt", "torch/net.pt"),  # written anew from these
    "npz": ("torch/gru.pt", "torch/net.pt"),  # also
    "keras": ("keras/*.keras",),
    "hdf5": ("keras/*.h5",),
    "onnx": ("onnx/*.onnx",),
    "plugin": ("plugin/*.json",),
}
LARGEST_FILE = 200_000
SECONDS, MEMORY, FACTOR = 10.0, 1 << 30, 50
EDGES = (0, 1, 2, 127, 128, 255, 256, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def sources(reader: str) -> list[tuple[str, bytes]]:
    """Names and bytes of the files that a reader is tried on."""
    paths = sorted(path for pattern in READERS[reader] for path in GOLDEN.glob(pattern))
    paths = [path for path in paths if path.stat().st_size < LARGEST_FILE]
    if reader not in ("safetensors", "npz"):
        return [(path.name, path.read_bytes()) for path in paths]
    from models.readers import checkpoint_in

    found = []
    for path in paths:
        state = {key: array.copy() for key, array in checkpoint_in(path.read_bytes()).items()}
        found.append((f"{path.stem}.{reader}", _written(reader, state)))
    return found


def _written(reader: str, state: dict[str, Any]) -> bytes:
    if reader == "safetensors":
        from safetensors.numpy import save

        return save(state)
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **state)
    return buffer.getvalue()


def damaged(data: bytes, generator: random.Random) -> bytes:
    """The bytes with one to four places changed; of half the archives, those of a member."""
    if data.startswith(b"PK") and generator.random() < 0.6:
        return _damaged_member(data, generator)
    for _ in range(generator.randint(1, 4)):
        data = _changed(data, generator)
    return data


def _changed(data: bytes, generator: random.Random) -> bytes:
    at, count = generator.randrange(len(data) or 1), generator.choice((1, 1, 1, 2, 4, 8, 16, 64))
    piece = data[at : at + count]
    match generator.randrange(8):
        case 0:
            new = bytes(byte ^ 1 << generator.randrange(8) for byte in piece)
        case 1:
            new = generator.randbytes(len(piece))
        case 2:
            new = b""
        case 3:
            new = piece * generator.choice((2, 3, 50))
        case 4:
            width = generator.choice((1, 2, 4, 8))
            number = (
                generator.choice(EDGES) if generator.random() < 0.8 else generator.getrandbits(64)
            )
            number = number if generator.random() < 0.7 else -number
            new = (number % (1 << 8 * width)).to_bytes(width, "little")
            piece = data[at : at + width]
        case 5:
            other = generator.randrange(len(data) or 1)  # as a pointer to another place
            new = data[other : other + len(piece)]
        case 6:
            new = generator.randrange(len(data) or 1).to_bytes(8, "little")
            piece = data[at : at + 8]
        case _:
            return data[:at] if generator.random() < 0.2 else data[:at] + piece + data[at:]
    return data[:at] + new + data[at + len(piece) :]


def _damaged_member(data: bytes, generator: random.Random) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(target, "w") as result:
        names = archive.namelist()
        chosen = generator.choice([name for name in names if archive.read(name)])
        for info in archive.infolist():
            content = archive.read(info)
            if info.filename == chosen:
                for _ in range(generator.randint(1, 4)):
                    content = _changed(content, generator)
            result.writestr(info, content)
    return target.getvalue()


def work(reader: str, first: int, count: int, seed: int, folder: Path) -> None:
    """Convert damaged files; a line of JSON before and after each."""
    from grucore import ConversionError, FormatError, UnsupportedError
    from grucore.converters.convert import convert_path

    warnings.simplefilter("ignore")  # of the numbers in damaged weights
    files = sources(reader)
    for number in range(first, count):
        generator = random.Random(f"{reader} {seed} {number}")
        name, data = generator.choice(files)
        path = folder / name
        path.write_bytes(damaged(data, generator))
        print(json.dumps({"number": number}), flush=True)
        started, outcome = time.process_time(), "converted"
        try:
            convert_path(path, verify=False)
        except (ConversionError, FormatError, UnsupportedError):
            outcome = "refused"
        except OSError as error:
            outcome = "refused" if error.errno else f"{type(error).__name__}: {error}"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error!s:.150} {_place(error)}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        found = {"outcome": outcome, "seconds": time.process_time() - started, "peak": peak}
        print(json.dumps({**found, "bytes": path.stat().st_size}), flush=True)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def watch(
    reader: str, count: int, seed: int, folder: Path, keep: Path | None
) -> collections.Counter[str]:
    """The outcome of each file of a reader; starts the worker again after one that ended it."""
    outcomes: collections.Counter[str] = collections.Counter()
    first = 0
    while first < count:
        command = [sys.executable, __file__, "--worker", str(first), "--count", str(count)]
        command += ["--seed", str(seed), "--folder", str(folder), reader]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment()) as worker:
            base, number = 0, first
            for line in _lines(worker):
                if line is None:
                    worker.kill()
                    break
                if "number" in line:
                    number = line["number"]
                    continue
                outcome = line["outcome"]
                base = base or line["peak"]  # the reader's own libraries
                if line["seconds"] > SECONDS:
                    outcome = "too long"
                elif line["peak"] - base > max(MEMORY, FACTOR * line["bytes"]):
                    outcome, base = f"memory: {line['peak'] - base} bytes", line["peak"]
                outcomes[outcome] += 1
                _keep(outcome, reader, number, folder, keep)
                first = number + 1
        if first < count and worker.returncode:
            outcome = "too long" if worker.returncode == -9 else f"signal {-worker.returncode}"
            outcomes[outcome] += 1
            _keep(outcome, reader, number, folder, keep)
            first = number + 1
    return outcomes


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _lines(worker: subprocess.Popen[bytes]) -> Iterator[dict[str, object] | None]:
    """The next line of the worker; None once it is silent for too long."""
    assert worker.stdout is not None
    rest = b""
    while True:
        if not select.select([worker.stdout], [], [], 60.0)[0]:
            yield None
            return
        block = os.read(worker.stdout.fileno(), 1 << 16)
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from map(json.loads, lines)


def _keep(outcome: str, reader: str, number: int, folder: Path, keep: Path | None) -> None:
    if keep is not None and outcome not in ("converted", "refused"):
        for path in folder.iterdir():
            target = keep / f"{reader}_{number}_{path.name}"
            target.write_bytes(path.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzes the readers of checkpoints.")
    parser.add_argument("readers", nargs="*", default=[], metavar="READER")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--worker", type=int)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    readers = arguments.readers or list(READERS)
    if arguments.worker is not None:
        work(readers[0], arguments.worker, arguments.count, arguments.seed, arguments.folder)
        return 0
    failed = 0
    for reader in readers:
        with tempfile.TemporaryDirectory() as folder:
            found = watch(reader, arguments.count, arguments.seed, Path(folder), arguments.keep)
        other = sum(found.values()) - found["converted"] - found["refused"]
        failed += other
        print(
            f"{reader}: {sum(found.values())} files, {found['converted']} converted, "
            f"{found['refused']} refused, {other} failures",
            flush=True,
        )
        for outcome, times in found.most_common():
            if outcome not in ("converted", "refused"):
                print(f"  {times} x {outcome}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
