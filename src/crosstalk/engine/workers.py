"""Worker processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import parent_process

__all__ = ["obey_parent"]


def obey_parent() -> None:
    """In a worker process: leave interruptions to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
