# SPDX-License-Identifier: Apache-2.0
"""A network as data: values, nodes, layers, their weights, and the checks on them."""
