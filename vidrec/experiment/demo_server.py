"""Serves the demo page of a model to this machine.

All stays here: gradio reports nothing to its makers, the page loads nothing from elsewhere, no URL
is fetched for anybody, and what is uploaded is deleted after a while, and at the end.
"""

import contextlib
import os
import tempfile

from vidrec.experiment.demo_page import CSS, import_gradio, page
from vidrec.export.predictor import Predictor

HOST = "127.0.0.1"
LARGEST = 200  # MB of an upload
FONTS = ("system-ui", "sans-serif")  # of the viewer's machine
SETTINGS = {  # nothing is reported to its makers, and no list of past runs is kept
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
}


def serve(model, *, host=HOST, port=None, largest=LARGEST):
    """Serves the page of a model until it is interrupted.

    Args:
        model: path of a folder that `vidrec export` wrote.
        host, port, largest: as `serving`.

    Raises:
        FileNotFoundError: if the folder is no model that vidrec exported.
        ImportError, OSError, ValueError: as `serving`.
    """
    import_gradio()  # what is missing is said before a model is loaded, which takes a while
    with serving(Predictor(model), host=host, port=port, largest=largest) as blocks:
        print(f"{blocks.local_url}  (ctrl-C ends it)", flush=True)
        blocks.block_thread()


@contextlib.contextmanager
def serving(predictor, *, host=HOST, port=None, largest=LARGEST):
    """A context in which the page of a model is served, by other threads.

    Args:
        predictor: vidrec.export.predictor.Predictor.
        host: str, the address that is listened at. With "0.0.0.0" all who reach this machine can
            use the page.
        port: int, or None for the first that is free from 7860 on.
        largest: int >= 1, MB that an upload may have.

    Yields:
        gradio.Blocks; its `local_url` is where the page is.

    Raises:
        ImportError: if gradio is missing; says how to install it.
        OSError: if the port is taken.
        ValueError: if `largest` is outside its range.
    """
    gradio = import_gradio()
    if largest < 1:
        raise ValueError(f"`largest` must be at least 1 MB. Received: largest={largest!r}")
    from starlette.middleware import Middleware  # gradio's own server

    with tempfile.TemporaryDirectory(prefix="vidrec-demo-") as uploads, _settings(host, uploads):
        blocks = page(predictor)
        try:
            blocks.launch(
                server_name=host,
                server_port=port,
                share=False,
                max_file_size=f"{largest}mb",
                theme=gradio.themes.Default(primary_hue="blue", font=FONTS, font_mono=FONTS),
                css=CSS,
                footer_links=[],
                ssr_mode=False,
                mcp_server=False,
                enable_monitoring=False,
                pwa=False,
                quiet=True,
                prevent_thread_lock=True,
                app_kwargs={"middleware": [Middleware(NothingFetched)]},
            )
        except OSError as error:
            raise OSError(
                f"Port {port} of {host} cannot be had ({error}). Give another one with --port."
            ) from error
        try:
            yield blocks
        finally:
            blocks.close(verbose=False)


class NothingFetched:
    """Refuses requests with a URL in their path: gradio would fetch it, and hand it on."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and "://" in scope["path"]:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"Nothing is fetched from a URL."})
            return
        await self._app(scope, receive, send)


@contextlib.contextmanager
def _settings(host, uploads):
    """Environment variables that gradio reads while it serves."""
    direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "localhost", host]
    own = {"no_proxy": ",".join(filter(None, direct))}  # gradio asks itself whether it is there
    own |= SETTINGS | {"GRADIO_TEMP_DIR": uploads}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
