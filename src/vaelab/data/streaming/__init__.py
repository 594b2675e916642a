"""Data larger than memory: rows that stay on the disk and are read block by block."""

__all__ = []
