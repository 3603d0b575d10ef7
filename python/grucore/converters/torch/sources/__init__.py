# SPDX-License-Identifier: Apache-2.0
"""The five doors: state dict, module file, exported program, live layer, live module."""
