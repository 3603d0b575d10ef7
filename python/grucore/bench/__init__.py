# SPDX-License-Identifier: Apache-2.0
"""Contenders of `grucore bench`, side by side by one clock."""
