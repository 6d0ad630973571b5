# SPDX-License-Identifier: Apache-2.0
"""Regions, organisations, activities asked for and approved; who may do what where."""
