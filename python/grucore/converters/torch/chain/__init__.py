# SPDX-License-Identifier: Apache-2.0
"""Layers one after the other, as a state dict and an architecture name them."""
