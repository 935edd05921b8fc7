"""The public functions of `crosstalk`, named as the verbs of the command line.

Each takes a path, a table, a dict or the object itself, and hands it to the floor that does the work.
"""

__all__: list[str] = []
