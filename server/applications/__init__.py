# SPDX-License-Identifier: Apache-2.0
"""From applicant to official volunteer: application, photo, training, pre-service, approval."""
