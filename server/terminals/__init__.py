# SPDX-License-Identifier: Apache-2.0
"""Terminals: sites, activities, enrolment by two people, hotlist and configuration."""
