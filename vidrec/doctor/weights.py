"""ImageNet weights, which Keras downloads once: in its cache, or the host within reach."""

import shlex
import urllib.request

from vidrec.doctor.finding import ok, one_line, warning
from vidrec.doctor.framework import home
from vidrec.doctor.process import Later
from vidrec.models.backbones import imagenet

URLS = (imagenet.XCEPTION, imagenet.VGG16, imagenet.RESNET101)
SECONDS = 1.5  # that a host may take to answer


def weights(answer=None):
    """Finding.

    Args:
        answer: function of a URL that raises OSError if it cannot be fetched.
    """
    folder = home() / "models"
    missing = [url for url in URLS if not (folder / url.rpartition("/")[2]).is_file()]
    there = f"{len(URLS) - len(missing)} of {len(URLS)} files in {folder}"
    if not missing:
        return ok("weights", there)
    try:
        Later(answer or _answer, missing[0]).result(SECONDS)
    except OSError as problem:  # or a TimeoutError: a look for a name has no limit of its own
        reason = one_line(getattr(problem, "reason", problem))
        text = f"{there}, and no download from here: {reason}"
        fetch = [
            "Take experiments without `weights: imagenet`; or where there is internet, type",
            *(f"    curl -LO {url}" for url in missing),
            f"and here, with those files:  mkdir -p {shlex.quote(str(folder))} && mv "
            f"*_notop.h5 {shlex.quote(str(folder))}/",
        ]
        return warning("weights", text, *fetch)
    return ok("weights", f"{there}; the others can be downloaded")


def _answer(url):
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=SECONDS):  # of https, a constant of ours
        pass
