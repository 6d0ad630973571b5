# SPDX-License-Identifier: Apache-2.0
"""The card SDK. Nothing is re-exported here: name the module you mean."""
