# SPDX-License-Identifier: Apache-2.0
"""The `.gru` file (docs/format.md): a graph to bytes and back, and bytes to a whole file."""

from grucore.fileformat.reader import read
from grucore.fileformat.writer import Draft, save, write

__all__ = ["Draft", "read", "save", "write"]
