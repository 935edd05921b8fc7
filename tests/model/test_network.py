"""The network of the mechanism and its drawing."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from crosstalk.model.assembly import assemble
from crosstalk.model.network import COLOURS, draw, network

from ..conftest import Run


def test_every_state_is_drawn_once_and_every_link_leads_from_one_to_another() -> None:
    net = network()
    states = [s for part in net.modules.values() for s in part]
    assert sorted(states) == sorted(assemble().states)
    assert all(link.source != link.target and {link.source, link.target} <= set(states) for link in net.links)
    signs = {(link.source, link.target): link.sign for link in net.links}
    # IL-6 makes CRP; cortisol holds back its own drive
    assert signs["IL6", "APR"] == 1
    assert signs["GR", "TNF"] == -1 or signs["GR", "AC"] == -1
    picture = draw(net)
    assert picture == draw(network())
    root = ET.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}g")) == len(states)
    paths = [p for p in root.findall(f"{space}path") if p.get("marker-end")]
    assert len(paths) == len(net.links)
    assert {p.get("stroke") for p in paths} <= set(COLOURS.values())


def test_the_command_line(run: Run, tmp_path: Path) -> None:
    code, text, errors = run("model", "show", "--svg", tmp_path / "network.svg")
    assert code == 0, errors
    assert "links" in text
    assert (tmp_path / "network.svg").read_text(encoding="utf-8").startswith("<svg")
    assert run("model", "show")[0] == 2
