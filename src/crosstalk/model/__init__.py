"""From knowledge to one SBML model: assembly, quality report, exports."""

from crosstalk.model.assembly import MODULES, Model, Regulator, assemble

__all__ = ["MODULES", "Model", "Regulator", "assemble"]
