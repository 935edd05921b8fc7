"""Antimony blocks of drugs: compartments, concentration, and the drug's share in each slot of the mechanism."""

from __future__ import annotations

from collections.abc import Iterable
from math import log

from crosstalk.errors import ModelError
from crosstalk.knowledge.records import Drug, Quantity, Slot, Target
from crosstalk.units import convert

__all__ = [
    "REFERENCE_WEIGHT_KG",
    "drug_block",
    "effect_parameter",
    "pk_parameters",
    "prefix",
    "slot_rules",
    "uncertain_effect",
]

# weight to which clearances and volumes per kg refer where no patient is given
REFERENCE_WEIGHT_KG = 70.0

# model parameter, key in the drug file, unit in which it enters the model ("A" stands for the drug's amount unit)
_TABLE = (
    ("CL", "clearance", "L/h"),
    ("V", "volume", "L"),
    ("Q", "peripheral_clearance", "L/h"),
    ("V2", "peripheral_volume", "L"),
    ("vmax", "vmax", "A/h"),
    ("km", "km", "A/L"),
    ("ka", "absorption_half_life", "h"),
    ("ke0", "effect_half_life", "h"),
)


def prefix(drug_id: str) -> str:
    """Prefix of a drug's variables in the model.

    Examples
    --------
    >>> prefix("peginterferon-alfa-2a")
    'peginterferon_alfa_2a'
    """
    return drug_id.replace("-", "_")


def effect_parameter(drug_id: str, slot: str) -> str:
    """Model parameter that holds the largest effect of a drug at a slot."""
    return f"{prefix(drug_id)}_{slot}_max"


def uncertain_effect(drug: Drug, target: Target) -> tuple[str, float] | None:
    """Model parameter that holds what nobody knows of a drug's effect at a slot, and its value; None if all is known.

    The largest effect where that is assumed; the half-effect for a target that has no largest effect, such as a binding
    protein.
    """
    if target.maximum is not None:
        known = target.maximum.source.kind != "assumed"
        return None if known else (effect_parameter(drug.id, target.slot), target.maximum.value)
    known = target.half.source.kind != "assumed"
    return None if known else (f"{prefix(drug.id)}_{target.slot}_half", _half(drug, target))


def _half(drug: Drug, target: Target) -> float:
    return convert(target.half.value, target.half.unit, f"{drug.amount_unit}/L")


def _per_kg(unit: str) -> bool:
    return unit.replace(" ", "").endswith("/kg")


def _model_value(drug: Drug, quantity: Quantity, unit: str, weight_kg: float) -> float:
    target = unit.replace("A", drug.amount_unit)
    if _per_kg(quantity.unit):
        return convert(quantity.value, quantity.unit, f"{target}/kg") * weight_kg
    return convert(quantity.value, quantity.unit, target)


def pk_parameters(drug: Drug, weight_kg: float = REFERENCE_WEIGHT_KG) -> dict[str, tuple[float, str, str]]:
    """Pharmacokinetic constants of a drug as the model takes them.

    Parameters
    ----------
    drug : Drug
    weight_kg : float [kg]
        For clearances and volumes that the source gives per kilogram.

    Returns
    -------
    dict of str to (value, unit, key)
        By model parameter, without the drug's prefix; ``key`` names the quantity in the drug's file.
    """
    values: dict[str, tuple[float, str, str]] = {}
    for name, key, unit in _TABLE:
        quantity = drug.pk.get(key)
        if quantity is None:
            continue
        value = _model_value(drug, quantity, unit, weight_kg)
        if name in ("ka", "ke0"):
            values[name] = (log(2) / value, "1/h", key)
        else:
            values[name] = (value, unit.replace("A", drug.amount_unit), key)
    return values


def drug_block(drug: Drug) -> list[tuple[str, float | str, str]]:
    """Rules of one drug as ``(left side, right side, unit)``; a number on the right is a constant.

    A left side that ends in ``'`` is a rate rule, one that ends in ``:`` an assignment rule. Drugs that enter a state
    of the mechanism directly have no block.
    """
    if drug.into_state:
        return []
    p, unit = prefix(drug.id), drug.amount_unit
    constants = pk_parameters(drug)
    rules: list[tuple[str, float | str, str]] = [(f"{p}_{n}", v, u) for n, (v, u, _) in constants.items()]
    rules.append((f"{p}_input", 0.0, f"{unit}/h"))
    inflow = f"{p}_input"
    if "ka" in constants:
        rules.append((f"{p}_depot'", f"{p}_input - {p}_ka*{p}_depot", unit))
        inflow = f"{p}_ka*{p}_depot"
    loss = f" - {p}_CL*{p}_conc"
    if "Q" in constants:
        exchange = f"{p}_Q*({p}_conc - {p}_peripheral/{p}_V2)"
        loss += f" - {exchange}"
        rules.append((f"{p}_peripheral'", exchange, unit))
    if "vmax" in constants:
        loss += f" - {p}_vmax*{p}_conc/({p}_km + {p}_conc)"
    rules.append((f"{p}_central'", inflow + loss, unit))
    rules.append((f"{p}_conc:", f"{p}_central/{p}_V", f"{unit}/L"))
    site = "conc"
    if "ke0" in constants:
        rules.append((f"{p}_site'", f"{p}_ke0*({p}_conc - {p}_site)", f"{unit}/L"))
        site = "site"
    for target in drug.targets:
        rules.extend(_target_rules(drug, target, f"{p}_{site}"))
    return rules


def _target_rules(drug: Drug, target: Target, concentration: str) -> list[tuple[str, float | str, str]]:
    name = f"{prefix(drug.id)}_{target.slot}"
    half = _half(drug, target)
    rules: list[tuple[str, float | str, str]] = [(f"{name}_half", half, f"{drug.amount_unit}/L")]
    if target.maximum is None:
        rules.append((f"{name}:", f"{concentration}/{name}_half", "dimensionless"))
    else:
        largest = effect_parameter(drug.id, target.slot)
        rules.append((largest, target.maximum.value, "dimensionless"))
        rules.append((f"{name}:", f"{largest}*h{target.hill}({concentration}, {name}_half)", "dimensionless"))
    return rules


def slot_rules(slots: Iterable[Slot], drugs: Iterable[Drug]) -> list[tuple[str, float | str, str]]:
    """How the drugs of a model combine in each slot; a slot that none of them uses is a constant."""
    slots, drugs = tuple(slots), tuple(drugs)
    rules: list[tuple[str, float | str, str]] = []
    for slot in slots:
        parts = [f"{prefix(d.id)}_{slot.id}" for d in drugs for t in d.targets if t.slot == slot.id]
        neutral = 0.0 if slot.combine == "add" else 1.0
        if not parts:
            rules.append((slot.id, neutral, "dimensionless"))
            continue
        combined = {
            "inhibit": "*".join(f"(1 - {part})" for part in parts),
            "amplify": "*".join(f"(1 + {part})" for part in parts),
            "bind": " + ".join(["1", *parts]),
            "add": " + ".join(parts),
        }[slot.combine]
        rules.append((f"{slot.id}:", combined, "dimensionless"))
    known = {s.id for s in slots}
    for drug in drugs:
        for target in drug.targets:
            if target.slot not in known:
                raise ModelError(
                    f"drug '{drug.id}' acts on the slot '{target.slot}', which slots.toml does not define; "
                    f"expected one of {', '.join(sorted(known))}"
                )
    return rules
