"""The formats of data files: one file for each, and the table that lists them."""

__all__ = []
