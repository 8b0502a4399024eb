"""A headless Chromium, spoken to by the DevTools protocol: pages are opened, looked at and used as a person would.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

NEEDED = "MINIGAN_NEED_BROWSER"  # when set, a test that lacks its browser fails
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ARGUMENTS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "about:blank"),
)
_PATIENCE_S = 120.0
_KEYS = {
    "ArrowRight": 39,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
    "Tab": 9,
    "+": 187,
    "0": 48,
}


class Page:
    """One tab. `console` holds its errors and warnings, `requests` every address that it asked for."""

    def __init__(self, socket: Any):
        self._socket, self._ids = socket, count(1)
        self.console: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol, and its result."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = self._next()
            if said.get("id") == number:
                assert "error" not in said, f"{method} {params}: {said.get('error')}"
                return said["result"]

    def _next(self) -> Any:
        said = json.loads(self._socket.recv(_PATIENCE_S))
        method, params = said.get("method"), said.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"])[:2000])
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(json.dumps(params["args"])[:2000])
        if method == "Log.entryAdded":
            self.console.append(json.dumps(params["entry"])[:2000])
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return said

    def open(self, path: Path) -> None:
        """Loads a file and waits until its load event."""
        self.call("Page.navigate", url=path.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's when it comes. What it throws fails the test."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, f"{expression}: {said['exceptionDetails']}"
        return said["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The expression's value as soon as it is true."""
        end = time.monotonic() + _PATIENCE_S
        while not (value := self.ask(expression)):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)
        return value

    def press(self, *keys: str) -> None:
        """Keys, as a keyboard sends them, to what has the focus."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            known = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
            self.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def click(self, selector: str) -> None:
        """A click in the middle of an element."""
        x, y = self.place(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element, scrolled to."""
        found = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return found[0], found[1]

    def mouse(self, kind: str, x: float, y: float) -> None:
        """mousePressed, mouseMoved or mouseReleased, of the left button."""
        held = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """The left button held from one point to the other."""
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], button="left", buttons=1)
        self.mouse("mouseReleased", *end)

    def emulate(self, width: int, height: int, **features: str) -> None:
        """A window of this size, with media features as prefers_color_scheme="dark"."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        given = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media="", features=given)

    def picture(self, path: Path, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        said = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._all(whole))
        path.write_bytes(base64.b64decode(said["data"]))

    def _all(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def pdf(self) -> bytes:
        """The page as it is printed, on A4."""
        said = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        return base64.b64decode(said["data"])


def executable() -> str:
    """The browser on PATH. Skips the test where there is none, or fails it when NEEDED is set."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        say = pytest.fail if os.environ.get(NEEDED) else pytest.skip
        say(f"no browser on PATH ({', '.join(_NAMES)}); Debian's package chromium has one")
    assert found
    return found


@contextmanager
def opened(profile: Path) -> Iterator[Page]:
    """A tab of a new browser whose profile is the empty folder `profile`; the browser ends with it."""
    client = pytest.importorskip("websockets.sync.client", reason="websockets, of the extra test, is not installed")
    root = ("--no-sandbox",) if os.getuid() == 0 else ()
    command = [executable(), *root, *_ARGUMENTS[:-1], f"--user-data-dir={profile}", _ARGUMENTS[-1]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = _until(lambda: _port(profile), process)
        with client.connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as browser:
            target = next(t for t in _targets(browser) if t["type"] == "page")
            with client.connect(f"ws://127.0.0.1:{port}/devtools/page/{target['targetId']}", max_size=None) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _targets(browser: Any) -> list[dict[str, Any]]:
    browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
    return json.loads(browser.recv(_PATIENCE_S))["result"]["targetInfos"]


def _port(profile: Path) -> tuple[str, str] | None:
    """What the browser writes down as soon as it listens: its port, and the address of itself there."""
    file = profile / "DevToolsActivePort"
    words = file.read_text().split() if file.exists() else []
    return (words[0], words[1]) if len(words) == 2 else None


def _until(ask: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    end = time.monotonic() + _PATIENCE_S
    while (found := ask()) is None:
        assert process.poll() is None, f"the browser ended with status {process.returncode}"
        assert time.monotonic() < end, "the browser does not listen"
        time.sleep(0.02)
    return found
