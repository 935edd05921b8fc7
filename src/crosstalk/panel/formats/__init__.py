"""One module per format or family: each lists its `crosstalk.panel.registry.Format` in ``FORMATS``.

A new format is a new module here, and nothing else.
"""
