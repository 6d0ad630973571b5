# SPDX-License-Identifier: Apache-2.0
"""Run the terminal's command line as `python -m terminal`."""

from terminal.cli import main

if __name__ == "__main__":
    main()
