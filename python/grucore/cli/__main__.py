# SPDX-License-Identifier: Apache-2.0
"""`python -m grucore.cli`."""

import sys

from grucore.cli import main

if __name__ == "__main__":
    sys.exit(main())
