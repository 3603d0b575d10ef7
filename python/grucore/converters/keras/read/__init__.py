# SPDX-License-Identifier: Apache-2.0
"""The config, the names and the weights of a Keras file."""
