"""The page served, with what needs Python: full forecasts, files, cohorts, trials, published results.

Extra ``app`` (FastAPI, uvicorn). `server` builds the application, `guard` lets in who may come in, `jobs` keeps long
work in processes of its own, `work` is what those do, `files` holds what was dropped in, `designs` writes trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.app.server import create_app as create_app
    from crosstalk.app.server import serve as serve

__getattr__, __dir__, __all__ = lazily(__name__)
