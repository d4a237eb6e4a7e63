"""The verb that serves a model."""

from vidrec.cli.options import add_verb

HOST, LARGEST = "127.0.0.1", 200


def demo_page(options):
    from vidrec.experiment.demo_server import serve

    serve(options.model, host=options.host, port=options.port, largest=options.largest)


def add(verbs):
    """Adds this verb."""
    text = "a page in the browser: give it a clip, see what a model makes of it"
    new = add_verb(verbs, "demo-page", demo_page, text)
    new.add_argument("model", help="folder that `vidrec export` wrote")
    new.add_argument("--port", type=int, help="default the first that is free from 7860 on")
    text = f"address to listen at, default {HOST}; 0.0.0.0 lets other machines use the page"
    new.add_argument("--host", default=HOST, help=text)
    text = f"MB that an upload may have, default {LARGEST}"
    new.add_argument("--largest", type=int, default=LARGEST, metavar="MB", help=text)
