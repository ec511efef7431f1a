"""The committed program belongs to the committed source, and the page asks nobody for anything."""

import hashlib
import json
import re
from pathlib import Path

from stages.export import viewer
from stages.export.clip import Clip
from stages.export.viewer import write_viewer
from stages.export.viewer.page import program

FOLDER = Path(viewer.__file__).parent
WEB = FOLDER / "web"
ADDRESS = re.compile(r"(?:https?|wss?|ftp):(?://|\\/)[^\s\"'`)<]+", re.IGNORECASE)
NAMESPACES = {"http://www.w3.org/1999/xhtml"}  # names, that nobody fetches


def without_data(page: str) -> str:
    return re.sub(r"[A-Za-z0-9+/=]{200,}", "", page)


def test_the_program_was_built_from_this_source() -> None:
    """If this fails: `make viewer`, and commit stages/export/viewer/viewer.min.js."""
    inputs = [
        *(WEB / name for name in ("build.mjs", "package.json", "package-lock.json")),
        *(WEB / "src").iterdir(),
    ]
    source = hashlib.sha256()
    for name in sorted(path.relative_to(WEB).as_posix() for path in inputs):
        source.update(name.encode() + b"\0" + (WEB / name).read_bytes() + b"\0")
    head, code = (FOLDER / "viewer.min.js").read_bytes().split(b"\n", 1)
    expected = f"/*! hsplat viewer, source {source.hexdigest()}, code {hashlib.sha256(code).hexdigest()} */"
    assert head.decode() == expected


def test_packages_are_pinned_and_come_from_no_registry_in_particular() -> None:
    package = json.loads((WEB / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert set(versions) == {"three", "esbuild"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    lock = (WEB / "package-lock.json").read_text()
    assert not ADDRESS.search(lock)
    locked = json.loads(lock)["packages"]
    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in versions.items())
    assert all("integrity" in entry for name, entry in locked.items() if name)


def test_the_licence_of_what_it_contains_is_in_the_page(viewer_file: Path) -> None:
    page = viewer_file.read_text(encoding="utf-8")
    assert "Contains three.js." in page
    assert "The MIT License" in page
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in page


def test_the_page_names_no_other_place(viewer_file: Path) -> None:
    page = without_data(viewer_file.read_text(encoding="utf-8"))
    assert "default-src 'none'" in page
    assert set(ADDRESS.findall(page)) <= NAMESPACES
    markup = page.replace(without_data(program()), "")
    assert not re.search(r"<(?:link|iframe|object|embed|base)\b|@import|url\(|\bsrc=|\bhref=", markup)


def test_names_stay_text(clip: Clip, tmp_path: Path) -> None:
    write_viewer(tmp_path / "viewer.html", clip, '</script><img onerror="x">\ud800 & <b>.mp4', 0)
    page = (tmp_path / "viewer.html").read_text(encoding="utf-8")
    assert "<h1>&lt;/script&gt;&lt;img onerror=&#34;x&#34;&gt;? &amp; &lt;b&gt;.mp4</h1>" in page
    assert "<img" not in page


def test_without_pictures_the_page_holds_none(clip: Clip, tmp_path: Path, viewer_file: Path) -> None:
    write_viewer(tmp_path / "viewer.html", clip, "clip", 0)
    page = (tmp_path / "viewer.html").read_text(encoding="utf-8")
    assert re.search(r'id="pictures">\s*</script>', page)
    assert "/9j/" in viewer_file.read_text(encoding="utf-8").split('id="pictures">')[1]  # JPEG, in base64
