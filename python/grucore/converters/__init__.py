# SPDX-License-Identifier: Apache-2.0
"""From other people's models to a `.gru` file: nothing is guessed, nothing in a file is run."""
