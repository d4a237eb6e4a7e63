"""The demo page: give it a clip, and see what an exported model makes of it."""

import base64
import html
from urllib.parse import quote

from vidrec.experiment.shown_prediction import (
    TOP,
    ShownPrediction,
    facts_of,
    show_prediction,
)
from vidrec.extraction.colour_wheel import wheel
from vidrec.extraction.jpeg import encode_jpeg

WHEEL = 168  # px
KEPT = 900  # seconds that an upload is kept, since the page may play it
CAMERA = {"video": {"width": 320, "height": 240}}  # as UCF101: flow of more pixels takes longer
CSS = """
.facts h1 {font-size: 1.6rem; font-weight: 600; margin: 0 0 0.4rem 0}
.facts dl {display: grid; grid-template-columns: max-content auto; gap: 0.15rem 1.2rem; margin: 0}
.facts dt {font-weight: 600}
.facts dd {margin: 0}
.message {border-left: 4px solid #d97706; padding: 0.6rem 1rem; margin: 0 0 0.5rem 0;
    background: #d9770618; overflow-wrap: anywhere}
.player {display: block; max-width: 100%; height: 16rem; margin: 0 auto; border-radius: 4px}
.seen h2 {font-size: 1rem; font-weight: 600; margin: 0.5rem 0}
.moments {display: flex; flex-wrap: wrap; gap: 0.8rem; align-items: flex-end}
.moments figure {width: 10.5rem; margin: 0}
.moments img {width: 100%; display: block; margin: 0 0 0.25rem 0; border-radius: 3px}
.moments figcaption {font-size: 0.8rem; min-height: 2.5em}
.segments th, .segments th * {overflow-wrap: normal; word-break: normal}
"""


def page(predictor):
    """The page of a model.

    Args:
        predictor: vidrec.export.predictor.Predictor. It is asked one thing at a time.

    Returns:
        gradio.Blocks with one endpoint, `/predict`: a video file and whether to ask each segment.

    Raises:
        ImportError: if gradio is missing.
    """
    gradio = import_gradio()
    name, clip = predictor.facts.get("experiment", "a model"), predictor.recipe.clip
    views = predictor.recipe.clips * predictor.recipe.crops

    def predict(path, segments):
        shown = ShownPrediction([])
        if path is not None:
            shown = show_prediction(predictor, path, segments=segments)
        top = dict(shown.prediction.top(TOP)) if shown.prediction else None
        table = shown.segments
        return (
            top,
            gradio.update(value=_messages(shown.messages), visible=bool(shown.messages)),
            gradio.update(value=_pictures(shown), visible=bool(shown.moments)),
            gradio.update(value=table, visible=table is not None),
            gradio.update(value=_player(path), visible=shown.prediction is not None),
            path and str(path),
        )

    title, cleaning = f"vidrec: {name}", (60, KEPT)
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=cleaning) as blocks:
        gradio.HTML(_facts(title, facts_of(predictor)), padding=False)
        with gradio.Row():
            with gradio.Column():
                with gradio.Tab("Video file"):
                    file = gradio.File(label="Clip", height=200)
                    player = gradio.HTML(visible=False, padding=False)
                with gradio.Tab("Webcam"):
                    camera = gradio.Video(
                        sources=["webcam"],
                        include_audio=False,
                        webcam_options=gradio.WebcamOptions(mirror=False, constraints=CAMERA),
                        show_label=False,
                    )
                segments = gradio.Checkbox(
                    clip.segments > 1 and views == 1,
                    label="Ask each segment alone too",
                    info=f"{clip.segments} predictions more",
                    visible=clip.segments > 1,
                )
            with gradio.Column():
                message = gradio.HTML(visible=False, padding=False)
                label = gradio.Label(label="Most likely", num_top_classes=TOP)
        pictures = gradio.HTML(visible=False, padding=False)
        table = gradio.Dataframe(
            label="What it says of each segment alone",
            visible=False,
            interactive=False,
            wrap=True,
            elem_classes="segments",
        )
        with gradio.Accordion(f"The {len(predictor.classes)} classes", open=False):
            gradio.Textbox(", ".join(predictor.classes), container=False, label="Classes")
        last = gradio.State()
        outputs = [label, message, pictures, table, player, last]
        # TensorFlow uses all cores for one prediction.
        options = {"concurrency_limit": 1, "concurrency_id": "model", "show_progress_on": label}
        file.change(predict, [file, segments], outputs, api_name="predict", **options)
        options["api_visibility"] = "private"
        camera.change(predict, [camera, segments], outputs, **options)
        segments.change(predict, [last, segments], outputs, **options)
        for source in (file, camera):
            _take_files_alone(source)
        camera.preprocess = lambda given: given and given.path  # gradio would ask for ffmpeg
    return blocks


def _take_files_alone(source):
    """Keeps gradio from fetching a URL, which a request may hold instead of an upload."""
    gradio, keep = import_gradio(), source.async_move_resource_to_block_cache

    async def local(path):
        if "://" in str(path):
            raise gradio.Error("Upload the file itself: nothing is fetched from a URL.")
        return await keep(path)

    source.async_move_resource_to_block_cache = local


def _facts(title, facts):
    rows = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts)
    return f'<div class="facts"><h1>{html.escape(title)}</h1><dl>{rows}</dl></div>'


def _player(path):
    """The uploaded clip, for browsers that can play it; where one cannot, nothing."""
    url = f"gradio_api/file={quote(str(path))}"
    play = 'controls autoplay loop muted playsinline onerror="this.remove()"'
    return f'<video class="player" src="{html.escape(url)}" {play}></video>'


def _pictures(shown):
    """The moments side by side; of each the frame, and its motion below it."""
    figures = [_figure(moment.pictures, moment.caption) for moment in shown.moments]
    if shown.largest is not None:
        text = f"Motion: full colour is {shown.largest} or more"
        figures.append(_figure({"colour wheel": wheel(WHEEL)}, text))
    title = "What the model saw"
    return f'<div class="seen"><h2>{title}</h2><div class="moments">{"".join(figures)}</div></div>'


def _figure(pictures, caption):
    shown = ""
    for name, picture in pictures.items():
        data = base64.b64encode(encode_jpeg(picture[..., ::-1])).decode()
        shown += f'<img src="data:image/jpeg;base64,{data}" alt="{name}">'
    return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _messages(messages):
    return "".join(f'<p class="message">{html.escape(text)}</p>' for text in messages)


def import_gradio():
    """The module; an ImportError that says how to install it where it is missing."""
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            "The demo page needs gradio, which is missing. Install it with\n"
            f"    pip install 'vidrec[demo]'\nReceived: {error}"
        ) from None
    return gradio
