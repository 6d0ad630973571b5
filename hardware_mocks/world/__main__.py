# SPDX-License-Identifier: Apache-2.0
"""`python -m hardware_mocks.world`: what `script/simulate` runs."""

from hardware_mocks.world.main import main

if __name__ == "__main__":
    main()
