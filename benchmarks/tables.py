# SPDX-License-Identifier: Apache-2.0
"""The results of compare.py as tables: `python tables.py RESULTS.json` writes Markdown."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from common.comparison import show


def main() -> int:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="JSON", help="what compare.py wrote with --out")
    arguments = parser.parse_args()
    report = json.loads(Path(arguments.results).read_text("utf-8"))
    show(report, markdown=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
