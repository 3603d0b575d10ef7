# SPDX-License-Identifier: Apache-2.0
"""Torch's own operations on what was read, as the witness of a proof."""
