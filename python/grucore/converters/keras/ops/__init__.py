# SPDX-License-Identifier: Apache-2.0
"""The layers and operations of Keras, a file for each family."""
