"""Which members of an archive may be unpacked, and where they go.

Only what is plainly a file or a folder below the archive's own folder. Nothing is made harmless:
who packs a name that leads elsewhere means harm, or made a mistake that somebody has to look at.
"""

import unicodedata

from vidrec.files import check_name

LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db")  # what systems add on their own account


def place_of(member, names, title, prefix):
    """Where below its folder a member goes (str), "" for nothing to write.

    Args:
        member: Member.
        names: dict for `_conflict`, which is added to.
        title, prefix: str, what the archive is called, and where its folder will lie.

    Raises:
        ValueError: if the member may not be unpacked.
    """
    parts, problem = _parts(member.name), member.problem
    if parts or not member.is_folder:  # "./" is the folder itself
        try:
            check_name(member.name)
        except ValueError as error:
            problem = f"has a name that is refused. {error}"
    if not problem and any(part in LITTER for part in parts):
        return ""
    above = _parts(prefix)
    whole = above + parts
    for end in range(len(above) + 1, len(whole) + 1):
        is_folder = end < len(whole) or member.is_folder
        problem = problem or _conflict("/".join(whole[:end]), is_folder, names)
    if problem:
        raise ValueError(
            f"{title} must hold nothing but plain files and folders, each once and below its own "
            f"folder. Received: a member {member.name!r} that {problem.removesuffix('.')}. Nothing "
            "is unpacked."
        )
    return "/".join(parts)


def _parts(name):
    return [part for part in name.split("/") if part not in ("", ".")]


def _conflict(name, is_folder, names):
    """What is wrong with a file or folder `name` beside those in `names`, or None.

    Args:
        name: str.
        is_folder: bool.
        names: dict of what disks that do not tell cases or forms of Unicode apart call a name, to
            the name and whether it is a folder. A new name is added.
    """
    key = unicodedata.normalize("NFC", name).casefold()
    other, other_is_folder = names.setdefault(key, (name, None))
    if other != name:
        return f"differs from {other!r} in case only"
    if other_is_folder is None:
        names[key] = (name, is_folder)
    elif not (is_folder and other_is_folder):
        return "is there twice" if is_folder == other_is_folder else "is a file and a folder"
    return None
