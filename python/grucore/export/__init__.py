# SPDX-License-Identifier: Apache-2.0
"""A model as code that needs nothing else: C99, or the engine with the model in it."""
