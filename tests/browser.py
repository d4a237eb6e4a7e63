"""A headless Chromium, driven over two pipes by its DevTools protocol, without more packages."""

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import time

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


class Tab:
    """The only tab.

    Attributes:
        requested: list of str, every URL that it asked for.
        errors: list of str, exceptions of its scripts.
    """

    def __init__(self, into, out):
        self._into, self._out, self._buffer, self._number = into, out, b"", 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(out, selectors.EVENT_READ)
        self._session, self.requested, self.errors = None, [], []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        attach = {"targetId": target, "flatten": True}
        self._session = self.call("Target.attachToTarget", **attach)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """One command of the protocol; its result, a dict."""
        self._number += 1
        sent = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            sent["sessionId"] = self._session
        os.write(self._into, json.dumps(sent).encode() + b"\0")
        while True:
            got = self._receive(60)
            if got.get("id") == self._number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                return got["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """What JavaScript gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_for(self, expression, seconds=60):
        """Waits until JavaScript gives something true, and returns it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := self.value(expression):
                return found
            time.sleep(0.1)
        raise TimeoutError(
            f"{expression} was not true in {seconds} s: {self.value('document.body.innerText')}"
        )

    def upload(self, selector, path):
        """Gives a file to an <input type="file">."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path, width, height=None):
        """A PNG of the whole page at a width, px."""
        screen = {"width": width, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **screen, height=height or 900)
        time.sleep(0.5)  # until it is laid out
        tall = height or self.value("document.documentElement.scrollHeight")
        self.call("Emulation.setDeviceMetricsOverride", **screen, height=tall)
        time.sleep(0.5)
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self, seconds):
        while b"\0" not in self._buffer:
            if not self._selector.select(seconds):
                raise TimeoutError(f"The browser said nothing for {seconds} s")
            more = os.read(self._out, 1 << 20)
            if not more:
                raise EOFError("The browser has ended")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        got = json.loads(message)
        if got.get("method") == "Network.requestWillBeSent":
            self.requested.append(got["params"]["request"]["url"])
        if got.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(got["params"]["exceptionDetails"]))
        return got


@contextlib.contextmanager
def browser(profile, *options):
    """A context with a Tab; `profile` is a folder for the browser's own files."""
    theirs, into = os.pipe()
    out, answers = os.pipe()
    command = [
        "bash", "-c", f'exec "$@" 3<&{theirs} 4>&{answers}', "bash", BROWSER, "--headless",
        "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
        f"--user-data-dir={profile}", *options, "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, pass_fds=(theirs, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    os.close(answers)
    try:
        yield Tab(into, out)
    finally:
        process.terminate()
        process.wait(30)
        os.close(into)
        os.close(out)
