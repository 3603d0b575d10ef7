# SPDX-License-Identifier: Apache-2.0
"""The float64 reference of every layer, in numpy: a witness that needs no framework."""
