# SPDX-License-Identifier: Apache-2.0
"""Smaller weights: candidates, calibration, the choice among them, and its report."""
