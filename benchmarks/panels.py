"""Reading of a large panel file: time and peak memory of `read_panel` on a synthetic long CSV.

Run ``python benchmarks/panels.py [PATIENTS]``; 10,000 patients with 40 analytes make 400,000 rows.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import read_panel

ANALYTES = 40
BELOW = 0.1  # of the laboratory values, as far as the analyte has a limit of detection
SEED = 20260101


def write(path: Path, patients: int) -> int:
    """Write the file: log-normal values of the shipped analytes with four digits; return the number of rows."""
    rng = np.random.default_rng(SEED)
    analytes = [a for a in load_knowledge().analytes.values() if a.covariate != "female"][:ANALYTES]
    # a factor of the person and little else, so that no part exceeds its whole
    person = 0.5 * rng.standard_normal((patients, 1))
    draws = np.exp(person + 0.02 * rng.standard_normal((patients, len(analytes))))
    below = rng.random((patients, len(analytes))) < BELOW
    with path.open("w", encoding="utf-8") as file:
        file.write("patient,analyte,value,unit\n")
        for i in range(patients):
            for j, analyte in enumerate(analytes):
                low, high = analyte.plausible
                usual = analyte.references[0].median if analyte.references else (max(low, 1) * high) ** 0.5
                usual = 900.0 if analyte.id == "CD4" else usual
                value = min(max(float(draws[i, j]) * usual, low), high)
                text = f"<{analyte.lod}" if below[i, j] and analyte.lod else f"{value:.4g}"
                file.write(f"P{i:05d},{analyte.id},{text},{analyte.unit}\n")
    return patients * len(analytes)


def peak_mebibytes() -> float:
    """Peak resident memory of this process [MiB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def main(patients: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panels.csv"
        rows = write(path, patients)
        knowledge, before = load_knowledge(), peak_mebibytes()
        began, began_cpu = time.perf_counter(), time.process_time()
        file = read_panel(path, knowledge=knowledge)
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        values = sum(len(panel.measurements) for panel in file.panels)
        size = path.stat().st_size / 1e6
        print(
            f"{len(file.panels)} patients, {rows} rows, {values} values, {size:.1f} MB: "
            f"{seconds:.1f} s ({cpu:.1f} s of processor time), "
            f"peak memory {peak_mebibytes():.0f} MiB ({before:.0f} MiB before reading)"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
