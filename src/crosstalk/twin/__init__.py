"""One patient: panel and population to a posterior, and a forecast under each regimen."""

__all__ = ["assess", "forecast"]

from crosstalk.twin.twin import assess, forecast
