"""One self-contained page on which a person asks what if: data, arithmetic for a browser, and its check in Python."""
