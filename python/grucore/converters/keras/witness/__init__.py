# SPDX-License-Identifier: Apache-2.0
"""Keras's own layers, rebuilt from what was read, as the witness of a proof."""
