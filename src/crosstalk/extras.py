"""Libraries that a bare forecast does not need: which extra brings each, and words where one is missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from crosstalk.errors import CrosstalkError, UsageError

__all__ = ["EXTRAS", "MissingExtraError", "check_installation", "missing", "need"]

EXTRAS = {
    "SALib": ("sensitivity", "global sensitivity"),
    "antimony": ("mechanisms", "mechanism files that are not those that ship"),
    "distributed": ("dask", "clusters of Dask"),
    "matplotlib": ("html", "reports in HTML"),
    "openpyxl": ("tables", "Excel workbooks"),
    "pandas": ("tables", "tables in CSV, data frames and files of SAS"),
    "pyarrow": ("parquet", "Parquet files"),
    "pymare": ("evidence", "pooling"),
    "roadrunner": ("reference", "the reference engine"),
    "sklearn": ("learn", "learning from cohorts"),
}
"""Import name: the extra of the distribution, and what needs it."""


class MissingExtraError(CrosstalkError, ImportError):
    """A library is not installed that what was asked for needs."""


def missing(error: ImportError) -> MissingExtraError | None:
    """The failure to import a library of an extra in words; None for any other."""
    name = (error.name or "").partition(".")[0]
    if isinstance(error, MissingExtraError):
        return error
    if name not in EXTRAS:
        return None
    extra, what = EXTRAS[name]
    return MissingExtraError(
        f"{name} is not installed; it is needed for {what}: pip install 'crosstalk-mdd[{extra}]', or "
        f"'crosstalk-mdd[all]' for everything"
    )


def need(name: str) -> None:
    """Fail before the work where a library is missing.

    Raises
    ------
    MissingExtraError
    """
    try:
        there = find_spec(name) is not None
    except ValueError:  # blocked, or half imported
        there = False
    if not there and (error := missing(ModuleNotFoundError(name=name))) is not None:
        raise error


def check_installation(folder: Path) -> None:
    """Refuse to run where another project's package lies in the same folder.

    The distribution ``crosstalk`` of the package index is none of this project; it installs an import package and a
    command of the same name, file by file over this one.

    Parameters
    ----------
    folder : Path
        That holds the package, such as ``site-packages``.

    Raises
    ------
    UsageError
    """
    found = next((path for kind in ("dist", "egg") for path in folder.glob(f"crosstalk-[0-9]*.{kind}-info")), None)
    if found is not None:
        raise UsageError(
            f"{found}: the distribution 'crosstalk' is another project, which installs its files over those of "
            f"crosstalk-mdd; mend it with: pip uninstall -y crosstalk crosstalk-mdd; pip install crosstalk-mdd"
        )
