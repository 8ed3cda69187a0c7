"""Figures as the benchmark writes them, for the tests. Imported first: it makes `report` importable."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))


def row(**changed: object) -> dict:
    whole = {"what": "POST", "unit": "us", "ours": 1200.0, "other": 600.0, "ratio": 2.0, "goal": None}
    return {**whole, **changed}


def bars(**changed: object) -> dict:
    whole = {
        "id": "rate",
        "title": "Requests a second",
        "kind": "bars",
        "x": {"label": "", "log": False, "names": ["POST", "GET"]},
        "y": {"label": "requests/s", "log": False, "names": []},
        "series": [{"name": "ours", "points": [[0.0, 12345.6], [1.0, 14000.0]]}],
    }
    return {**whole, **changed}


def lines(**changed: object) -> dict:
    whole = {
        "id": "latency",
        "title": "Latency by load",
        "kind": "lines",
        "x": {"label": "pages", "log": True, "names": []},
        "y": {"label": "µs", "log": True, "names": []},
        "series": [
            {"name": "ours", "points": [[1.0, 30.0], [100.0, 31.0], [10000.0, 40.0]]},
            {"name": "Python", "points": [[1.0, 240.0], [100.0, 241.0], [10000.0, 260.0]]},
        ],
    }
    return {**whole, **changed}


def group(**changed: object) -> dict:
    whole = {
        "id": "floor",
        "title": "Against the floor",
        "compared_with": "bare handler",
        "rows": [row()],
        "plots": [bars()],
        "notes": ["One processor each", "Medians of five runs."],
        "raw": {"runs": [1, 2]},
    }
    return {**whole, **changed}


def figures(*groups: dict, cpu: str = "EPYC") -> dict:
    return {"machine": {"cpu": cpu, "cores": 2, "memory": 16_000_000_000}, "groups": list(groups)}


def place(name: str, text: str = "") -> str:
    return f"<!-- figures: {name} -->\n{text}<!-- end -->\n"
