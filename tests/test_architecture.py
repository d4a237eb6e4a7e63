"""Who may import whom: the table of the house, read from the imports themselves."""

import ast
import sys

import pytest

from tests.conftest import PACKAGE, PROJECT

OURS = {
    "files": set(),
    "clip": {"numpy"},
    "layouts": set(),
    "shards": set(),
    "locks": {"filelock"},
    "index_file": {"files", "pandas"},
    "store": {"files", "layouts", "shards", "locks", "index_file"},
    "config": {"clip", "pydantic", "yaml"},
    "archives": {"files", "rarfile"},
    "datasets": {"files", "archives", "store", "numpy", "pandas"},
    "packs": {"files", "numpy"},
    "extraction": {"files", "clip", "layouts", "shards", "index_file", "store", "packs"}
    | {"numpy", "cv2", "pandas", "rich", "numba", "distributed", "PIL"},
    "pipeline": {"clip", "layouts", "store", "packs", "numpy", "tensorflow"},
    "models": {"clip", "numpy", "keras"},
    "doctor": {"files", "models", "packaging"},  # of models an address alone
    "training": {"files", "clip", "numpy", "pandas", "keras", "tensorflow", "matplotlib"},
    "evaluation": {"files", "clip", "numpy", "pandas", "keras", "tensorflow", "matplotlib"},
    "export": {"files", "clip", "extraction", "pipeline", "numpy", "keras", "tensorflow", "cv2"},
}
EVERYTHING = set().union(OURS, *OURS.values())
ROOMS = OURS | {
    "experiment": EVERYTHING,
    "cli": {"experiment", "extraction", "datasets", "evaluation", "export", "store", "config"}
    | {"files", "doctor"},
}
EXTRA = {
    "doctor/probes.py": {"cv2", "numba", "numpy", "tensorflow"},  # a script for their own process
    "datasets/synthetic.py": {"cv2"},  # it writes videos; no other data set reads one
    "datasets/prepare.py": {"keras"},  # its downloads
    "models/weight_files.py": {"h5py"},  # it looks at a file before Keras reads it
    "extraction/pack.py": {"tensorflow"},  # it writes TFRecords; workers never load it
    "extraction/unpack.py": {"tensorflow"},
    "training/watching.py": {"wandb"},  # if it is asked for
    "experiment/report.py": {"jinja2"},
    "experiment/export.py": {"jinja2"},  # its card
    "experiment/demo_page.py": {"gradio"},
    "experiment/demo_server.py": {"starlette"},  # gradio's own server
    "export/litert.py": {"ai_edge_litert"},  # both if they are asked for
    "export/onnx.py": {"onnx", "onnxruntime", "tf2onnx"},
}
FORBIDDEN = {"pickle", "dill", "joblib"}


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def room_of(path):
    return name_of(path).split("/")[0].removesuffix(".py")


def imports_of(path):
    """Every module that a file imports anywhere, ours as "vidrec.<...>"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "vidrec":
                yield from (f"vidrec.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_rooms_import_only_what_the_table_allows(path):
    room = room_of(path)
    if room == "__init__":
        assert not list(imports_of(path))
        return
    assert room in ROOMS, f"{room} is a new room: add it to the table"
    allowed = ROOMS[room] | EXTRA.get(name_of(path), set()) | {room}
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names:
            assert parts[0] not in FORBIDDEN, f"{path} imports {name}"
            continue
        needed = parts[1] if parts[0] == "vidrec" and len(parts) > 1 else parts[0]
        assert needed in allowed | {"vidrec"}, f"{path} imports {name}"


def test_no_import_cycles():
    """Modules, not rooms: an import inside a function counts as well."""
    modules = {
        "vidrec."
        + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in sources()
    }
    graph = {name: {i for i in imports_of(path) if i in modules} for name, path in modules.items()}
    for room_or_name in graph:  # `from vidrec.a import b` may mean the module vidrec.a.b
        tree = ast.parse(modules[room_or_name].read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[room_or_name] |= inner & set(modules)
            graph[room_or_name].discard(room_or_name)  # `from vidrec.a import b` in a/__init__.py
    done, path = set(), []

    def visit(name):
        assert name not in path, f"cycle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            path.append(name)
            for other in graph[name]:
                visit(other)
            done.add(path.pop())

    for name in graph:
        visit(name)
    assert len(done) == len(modules) > 30


def test_files_have_one_idea_each():
    names = {path.stem for path in sources()}
    assert not names & {"utils", "util", "helpers", "common", "misc"}
    long = {name_of(path): len(path.read_text().splitlines()) for path in sources()}
    assert not {name: lines for name, lines in long.items() if lines > 300}


def calls_of(path):
    """("keras.saving.load_model", {"safe_mode": "True"}) for instance, of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            yield ast.unparse(node.func), given


def test_text_is_utf8_on_every_machine():
    """Without an encoding, text is read and written in that of the user's locale."""
    seen = 0
    for path in sources():
        for name, given in calls_of(path):
            if name.rpartition(".")[2] in ("read_text", "write_text"):
                assert given.get("encoding", "").startswith("'utf-8"), (
                    f"{path}: {name} needs its encoding"
                )
                seen += 1
    assert seen > 20


READERS = {  # of files that can carry code: what a call must say, and the one file that calls it
    "np.load": ({"allow_pickle": "False"}, None),
    "numpy.load": ({"allow_pickle": "False"}, None),
    "torch.load": ({"weights_only": "True"}, None),
    "keras.saving.load_model": ({"compile": "False", "safe_mode": "True"}, "saved.py"),
    "model.load_weights": ({}, "weight_files.py"),
    "h5py.File": ({}, "weight_files.py"),
}
OWN_READERS = {"saved.load_model", "weight_files.load_weights", "load_weights"}
NEVER = {"enable_unsafe_deserialization", "TFSMLayer", "unsafe_load", "full_load", "func_load"}


@pytest.mark.parametrize(
    "folder", [PACKAGE, PROJECT / "preprocessing", PROJECT / "experiments"], ids=lambda f: f.name
)
def test_no_file_is_trusted_with_code(folder):
    """Models, weights and arrays are read with care, each in one place."""
    seen = set()
    for path in folder.rglob("*.py"):
        for name, given in calls_of(path):
            last = name.rpartition(".")[2]
            assert last not in NEVER, f"{path} calls {name}"
            if name in READERS:
                must, only = READERS[name]
                assert must.items() <= {"allow_pickle": "False", **given}.items(), (path, name)
                assert only in (None, path.name), f"{path} calls {name}: use models/{only}"
                seen.add(name)
            elif last in ("load_model", "load_weights"):
                assert name in OWN_READERS, f"{path} calls {name}"
    if folder == PACKAGE:
        assert {"np.load", "keras.saving.load_model", "model.load_weights", "h5py.File"} <= seen
