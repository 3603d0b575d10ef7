# SPDX-License-Identifier: Apache-2.0
"""The results of compare.py as tables: `python tables.py RESULTS.json ...` writes Markdown.

Files of several machines end in a table of the leads over the best peers, side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from common.comparison import as_markdown, show, side_by_side


def main() -> int:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("results", metavar="JSON", nargs="+", help="what compare.py wrote with --out")
    arguments = parser.parse_args()
    reports = [json.loads(Path(path).read_text("utf-8")) for path in arguments.results]
    for report in reports:
        show(report, markdown=True)
        print()
    if len(reports) > 1:
        for caption, rows in side_by_side(reports):
            print(f"\n{caption}\n", *as_markdown(rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
