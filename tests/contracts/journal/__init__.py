# SPDX-License-Identifier: Apache-2.0
"""What a journal promises, on a real file and on a disk that can fail at any byte."""
