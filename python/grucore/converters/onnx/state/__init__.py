# SPDX-License-Identifier: Apache-2.0
"""The state of a walk over a file: axes, sizes, and values so far."""
