"""Write the SBML of the mechanism files that ships with the package; needed after a change of any `.ant` file.

python scripts/mechanism_sbml.py
"""

from __future__ import annotations

from pathlib import Path

from crosstalk.model import assembly
from crosstalk.model.composition import FILES


def main() -> None:
    for circadian, name in FILES.items():
        path = Path(assembly.__file__).with_name(name)
        path.write_text(assembly.mechanism_sbml(circadian=circadian), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
