"""What is installed is what stands in the tree: a folder that nobody named would be missing without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from needs import needs

ROOT = Path(__file__).parents[1]
LINKED = ("connectors", "pipelines", "sinks", "sources")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules() -> dict[str, Path]:
    """Each Python file of the package by its path inside the wheel."""
    found = {}
    for folder in ("ingest", *LINKED):
        for path in (ROOT / folder).rglob("*.py"):
            inside = path.relative_to(ROOT)
            if inside.parts[0] == "ingest" and len(inside.parts) > 1 and inside.parts[1] in LINKED:
                continue  # through a link: named once, by its real folder
            if "templates" in inside.parts or "examples" in inside.parts:
                continue  # shipped as data
            found["/".join(inside.parts if folder == "ingest" else ("ingest", *inside.parts))] = path
    return found


def test_packages_are_the_folders_of_the_tree() -> None:
    folders = {name.rpartition("/")[0].replace("/", ".") for name in modules()}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_every_package_says_that_it_is_one() -> None:
    found = modules()
    assert [name for name in found if f"{name.rpartition('/')[0]}/__init__.py" not in found] == []


@pytest.mark.parametrize("name", LINKED)
def test_links_and_mapping_give_a_folder_the_same_name(name: str) -> None:
    link = ROOT / "ingest" / name
    target = os.readlink(link) if link.is_symlink() else link.read_text()  # a checkout without links holds their text
    assert target == f"../{name}"
    assert PROJECT["tool"]["setuptools"]["package-dir"][f"ingest.{name}"] == name


def test_no_other_link_or_mapping_is_there() -> None:
    assert sorted(path.name for path in (ROOT / "ingest").iterdir() if path.is_symlink()) == list(LINKED)
    assert sorted(PROJECT["tool"]["setuptools"]["package-dir"]) == ["ingest", *(f"ingest.{name}" for name in LINKED)]


def test_every_entry_point_names_a_file_of_the_tree() -> None:
    points = PROJECT["project"]["entry-points"].values()
    named = [target.partition(":")[0] for group in points for target in group.values()]
    named += [target.partition(":")[0] for target in PROJECT["project"]["scripts"].values()]
    found = modules()
    missing = [
        name for name in named if not {f"{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")} & set(found)
    ]
    assert missing == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as on a user's machine: from the sdist, which was made from what git would check out."""
    needs(shutil.which("git") and (ROOT / ".git").exists(), "a git checkout")
    folder = tmp_path_factory.mktemp("packaging")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        copy = folder / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(folder / "checkout")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return next(folder.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_holds_every_module_and_nothing_at_the_top_but_ingest(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert set(modules()) - inside == set()
    tops = {name.split("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ingest"}
    for name in ("templates", "py.typed"):
        assert any(name in path for path in inside)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_sdist_holds_what_the_wheel_is_made_of(wheel: Path) -> None:
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {str(path.relative_to(ROOT)) for path in modules().values()} - inside == set()
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "ingest/wire/_codec.pyx"} - inside == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_installed_elsewhere_imports_and_runs(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    program = (
        "import ingest, ingest.sources, ingest.sinks, ingest.connectors, ingest.pipelines, importlib.util;"
        "from ingest.wire import codec;"
        "print(ingest.__file__, ingest.sources.__file__, codec.kernel.__name__, importlib.util.find_spec('sources'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "INGEST_PURE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    package, sources, kernel, top_level = done.stdout.split()
    assert Path(package).is_relative_to(target)
    assert Path(sources).is_relative_to(target)
    assert top_level == "None"
    if any(name.endswith((".so", ".pyd")) and "_codec" in name for name in zipfile.ZipFile(wheel).namelist()):
        assert kernel == "ingest.wire.codec_compiled"
