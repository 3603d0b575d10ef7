# SPDX-License-Identifier: Apache-2.0
"""Compresses wheels once more, in place: the same files in fewer bytes. Wants zopflipy.

pack_wheel.py WHEEL...
"""

import sys
import zipfile
from pathlib import Path

from zopfli import ZipFile


def pack(path: Path) -> None:
    packed = path.with_suffix(".packed")
    with zipfile.ZipFile(path) as wheel, ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in wheel.infolist():
            # RECORD holds hashes of what is in the files, and stays true.
            target.writestr(entry, wheel.read(entry), zipfile.ZIP_DEFLATED)
    before = path.stat().st_size
    packed.replace(path)
    print(f"{path.name}: {before} bytes before, {path.stat().st_size} now")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        pack(Path(name))
