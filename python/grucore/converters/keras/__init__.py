# SPDX-License-Identifier: Apache-2.0
"""Keras: from a config and its weights to a graph."""
