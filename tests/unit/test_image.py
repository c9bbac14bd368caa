from __future__ import annotations

import ast
import io
import os
import tarfile
from pathlib import Path

import pytest

from testbed import image
from testbed.errors import UsageError

PACKAGE = Path(image.__file__).parent


def make_package(root: Path, *, shipped: bool = False) -> Path:
    """A package and its images folder as in a checkout, or as in an installed wheel."""
    package = root / "testbed"
    images = (package / "_shipped" if shipped else root) / "images"
    for name in image.IMAGE_NAMES:
        (images / name).mkdir(parents=True)
        (images / name / "Dockerfile").write_text(f"# {name}\n")
    for file in ("__init__.py", "cli.py", "history.py", "roles/nic.py", "roles/__pycache__/nic.cpython-313.pyc"):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(f"# {file}\n")
    return package


def test_every_image_has_a_dockerfile_that_builds_on_the_base_argument() -> None:
    for name in image.IMAGE_NAMES:
        dockerfile = image.context_files(name)["Dockerfile"].decode()
        assert "\nFROM ${BASE}\n" in dockerfile
        assert "\nENTRYPOINT [" in dockerfile, "exec form: signals must reach the process itself"


def test_only_the_nic_image_runs_as_root() -> None:
    roots = {
        name for name in image.IMAGE_NAMES if b"\nUSER 65534:65534\n" not in image.context_files(name)["Dockerfile"]
    }
    assert roots == {"nic"}


def test_images_with_our_code_hold_all_of_the_package_that_their_code_imports() -> None:
    files = image.context_files("node")
    missing = set()
    for path, content in files.items():
        if not path.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(content)):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "testbed":
                modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names if alias.name.startswith("testbed")]
            for module in modules:
                file = PACKAGE.parent / Path(*module.split("."))
                if file.with_suffix(".py").exists() and f"{module.replace('.', '/')}.py" not in files:
                    missing.add((path, module))
    assert not missing


def test_code_that_stays_on_the_host_is_in_no_image(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    assert set(image.context_files("nic", package=package)) == {
        "Dockerfile",
        "testbed/__init__.py",
        "testbed/history.py",
        "testbed/roles/nic.py",
    }
    assert set(image.context_files("slb", package=package)) == {"Dockerfile"}


def test_editing_the_command_line_changes_no_tag_and_editing_a_role_changes_those_of_images_that_run_it(
    tmp_path: Path,
) -> None:
    package = make_package(tmp_path)

    def tags() -> dict[str, str]:
        return {n: image.image_tag(n, image.context_files(n, package=package), base="b") for n in image.IMAGE_NAMES}

    before = tags()
    (package / "cli.py").write_text("changed")
    assert tags() == before
    (package / "roles" / "nic.py").write_text("changed")
    assert {name for name, tag in tags().items() if tag != before[name]} == {"nic", "node"}


def test_another_base_gives_another_tag(tmp_path: Path) -> None:
    files = image.context_files("slb", package=make_package(tmp_path))
    one, other = (image.image_tag("slb", files, base=base) for base in ("sha256:1", "sha256:2"))
    assert one != other
    name, digits = one.split(":")
    assert name == "testbed-slb"
    assert len(digits) == image.HASH_DIGITS


def test_the_same_files_give_the_same_tar_whenever_they_were_written(tmp_path: Path) -> None:
    first = make_package(tmp_path / "a")
    second = make_package(tmp_path / "b")
    os.utime(second / "history.py", (1, 1))
    one, other = (image.context_tar(image.context_files("nic", package=p)) for p in (first, second))
    assert one == other
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        assert archive.getnames() == sorted(archive.getnames())
        assert {(member.mode, member.mtime, member.uid) for member in archive} == {(0o644, 0, 0)}


def test_an_installed_package_builds_from_the_images_it_brought_along(tmp_path: Path) -> None:
    package = make_package(tmp_path, shipped=True)
    assert image.shipped("images", package=package) == package / "_shipped" / "images"
    assert image.context_files("tftp", package=package) == {"Dockerfile": b"# tftp\n"}


def test_an_unknown_image_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        image.context_files("router")
    assert "nic, node, slb, tftp, proxy" in refused.value.hint


OLD, NEW = "0" * 12, "1" * 12


@pytest.mark.parametrize(
    ("used", "older"),
    [
        ([], []),
        ([f"testbed-node:{NEW}", f"testbed-nic:{NEW}"], []),
        ([f"testbed-node:{OLD}", f"testbed-nic:{NEW}", f"testbed-node:{OLD}"], ["node"]),
        ([f"testbed-node:{NEW}", f"testbed-node:{OLD}", f"testbed-nic:{OLD}"], ["nic", "node"]),
        ([f"testbed-web:{OLD}", "haproxy:3.0", f"registry:5000/testbed-node:{OLD}", "testbed-node:mine"], []),
    ],
)
def test_images_of_an_older_build_are_named_and_those_of_others_are_not(used: list[str], older: list[str]) -> None:
    assert image.outdated(used, {"node": f"testbed-node:{NEW}", "nic": f"testbed-nic:{NEW}"}) == older
