"""Each heavy library has few importers, so that replacing it touches few files."""

from fnmatch import fnmatch

import grimp
import pytest

GRAPH = grimp.build_graph("infer", "train", "export", include_external_packages=True)

ALLOWED = {
    "mlflow": ["train.tracking", "export.registry", "infer.registry"],
    "yaml": [],
    "ruamel": ["train.params"],
    "onnxruntime": [
        *("infer.engine", "infer.providers", "infer.engine_cache"),
        *("export.half", "export.int8"),  # its tools that rewrite a graph; nothing there runs one
    ],
    "openvino": ["infer.openvino_session"],
    "nibabel": ["infer.readers.*", "infer.writers.*"],
    "pydicom": ["infer.readers.*", "infer.writers.*"],
    "gdcm": [],  # only through pydicom, in a process of its own
    "simplejpeg": ["infer.readers.jpeg_stream"],
    "highdicom": ["infer.writers.dicom_seg"],
    "ray": ["infer.executors.ray"],
    "fsspec": ["infer.storage.store"],
    "s3fs": [],  # only through fsspec
    "gcsfs": [],
    "typer": ["infer.cli", "export.__main__"],
    "cryptography": ["infer.signature", "export.signing"],
    "lightning_fabric": ["train.*"],
    "lightning": [],
    "torchvision": [],
}


def importers(library: str) -> set[str]:
    if library not in GRAPH.modules:
        return set()
    return GRAPH.find_modules_that_directly_import(library)


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    strangers = [
        module
        for module in importers(library)
        if not any(fnmatch(module, pattern) for pattern in ALLOWED[library])
    ]
    assert not strangers, f"{library} is imported by {', '.join(sorted(strangers))}"


def test_nothing_imports_a_stage() -> None:
    for package in ("train.stages", "export.stages"):
        for stage in GRAPH.find_children(package):
            assert not GRAPH.find_modules_that_directly_import(stage), stage


def test_no_method_imports_a_sibling() -> None:
    methods = GRAPH.find_children("train.methods") - {"train.methods.method"}
    for method in methods:
        siblings = GRAPH.find_modules_directly_imported_by(method) & methods
        assert not siblings, f"{method} imports {siblings}"
