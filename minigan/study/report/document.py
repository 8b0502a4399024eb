"""The page around what was gathered: one file that loads nothing, and that says so to the browser (its CSP)."""

import base64
import hashlib
import html
import json
import re
from importlib import resources
from typing import Any

from minigan import __version__

_HERE = "minigan.study.report"
_ESCAPED = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_SLOT = re.compile(r"\{\{([a-z-]+)\}\}")


def page(name: str, sections: dict[str, Any]) -> str:
    """The whole file, for a run called `name`: its script shows `sections`, as they are in JSON."""
    scripts = {"plot-js": _read("uplot", "uPlot.iife.min.js"), "js": _read("page", "report.js")}
    slots = scripts | {
        "title": html.escape(f"minigan report: {name}"),
        "version": html.escape(__version__),
        "css": _read("page", "report.css"),
        "plot-css": _read("uplot", "uPlot.min.css"),
        "hashes": " ".join(map(_hash, scripts.values())),
        "data": in_script({"name": name, "sections": sections}),
    }
    return _SLOT.sub(lambda found: slots[found[1]], _read("page", "report.html"))


def in_script(value: Any) -> str:
    """JSON that a <script> element can hold: nothing in it ends the element or begins another."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: _ESCAPED[found[0]], text)


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _read(folder: str, name: str) -> str:
    return resources.files(_HERE).joinpath(folder, name).read_text("utf-8")
