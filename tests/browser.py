"""A real Chromium without a window, driven by the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Browser:
    """One window of a running chromedriver."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}/session"
        options = {"args": [*OPTIONS, "--window-size=1200,900"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._call("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self._root += f"/{session}"

    def _call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, file: Path) -> None:
        self._call("/url", {"url": file.absolute().as_uri()})

    def evaluate(self, expression: str) -> Any:
        return self._call("/execute/sync", {"script": f"return {expression}", "args": []})

    def resize(self, width: int) -> None:
        self._call("/window/rect", {"width": width, "height": 900})

    def messages(self) -> list[str]:
        """Return what the console said since the last call: errors, blocked or missing resources."""
        return [entry["message"] for entry in self._call("/se/log", {"type": "browser"})]

    def close(self) -> None:
        request = urllib.request.Request(self._root, method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser; skip the test where there is none, except in CI, where there has to be one."""
    driver = shutil.which("chromedriver")
    if driver is None:
        if os.environ.get("CI"):
            pytest.fail("chromedriver is missing; scripts/setup.sh installs it")
        pytest.skip("no chromedriver: install chromium and chromium-driver")
    with subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = next(
                int(found[1]) for line in process.stdout if (found := re.search(r"on port (\d+)\.", line))
            )
            browser = Browser(port)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
