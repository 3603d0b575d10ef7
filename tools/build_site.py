# SPDX-License-Identifier: Apache-2.0
"""Builds the documentation's site: pages of the repository, and references made from the code.

    pip install ".[docs]"
    python tools/build_site.py            # build/site/html/index.html
    python tools/build_site.py --serve    # at http://127.0.0.1:8000

A warning is an error: a link to nothing, a page that no menu has.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cpp_reference
import yaml

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "site" / "pages"
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)]*)?(\))")
HEADERS = ("grucore.h", "grucore.hpp", "grucore_c.h")
COPIED = (".png", ".svg", ".gif", ".wav", ".gru")
LANGUAGES = {".py": "python", ".h": "cpp", ".hpp": "cpp", ".cpp": "cpp", ".c": "c", ".json": "json"}


def pages() -> list[Path]:
    """Every page of the repository that a reader may want."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")]
    found += [*ROOT.glob("cpp/examples/*/README.md"), ROOT / "benchmarks" / "README.md"]
    return sorted(found)


def place_of(path: Path) -> Path:
    """Where a page lies in the site."""
    relative = path.relative_to(ROOT)
    return Path("index.md") if relative == Path("README.md") else relative


def write(place: Path | str, text: str) -> None:
    """One page."""
    target = PAGES / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")


class Site:
    """The pages that are written, and the files that they refer to."""

    def __init__(self) -> None:
        self.sources: set[Path] = set()
        self.pages = {path: place_of(path) for path in pages()}

    def rewritten(self, path: Path, text: str) -> str:
        """The text of a page, with its links as the site has them."""
        here = self.pages[path]

        def link(found: re.Match[str]) -> str:
            target, anchor = found[2], found[3] or ""
            if ":" in target:
                return found[0]
            file = (path.parent / target).resolve()
            if not file.exists():
                raise SystemExit(f"{path.relative_to(ROOT)}: no {target}")
            place = self.place(file)
            up = "../" * (len(here.parts) - 1)
            return f"{found[1]}{up}{place.as_posix()}{anchor}{found[4]}"

        return LINK.sub(link, text)

    def place(self, file: Path) -> Path:
        """Where a file lies that a page refers to: a page, a picture, or a source as a page."""
        if file in self.pages:
            return self.pages[file]
        if file.is_dir():
            return self.place(file / "README.md")
        relative = file.relative_to(ROOT)
        if file.suffix in COPIED:
            target = PAGES / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            return relative
        self.sources.add(file)
        return Path("source") / relative.with_name(f"{relative.name}.md")

    def write_all(self) -> None:
        """All pages, and the sources that they name."""
        write("site.css", (ROOT / "docs" / "site.css").read_text("utf-8"))
        for path, place in self.pages.items():
            write(place, self.rewritten(path, path.read_text("utf-8")))
        for file in sorted(self.sources):
            language = LANGUAGES.get(file.suffix, "text")
            text = f"# {file.name}\n\n```{language}\n{file.read_text('utf-8')}\n```\n"
            write(self.place(file), text)


def write_python() -> None:
    """The public names, from their docstrings."""
    sys.path.insert(0, str(ROOT / "python"))
    import grucore

    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": [], "Audio": []}
    for name in grucore.__all__:
        found = getattr(grucore, name)
        if isinstance(found, str):
            continue
        if isinstance(found, ModuleType):
            public = {inner: getattr(found, inner) for inner in found.__all__}
            groups[name.capitalize()] += [
                f"{one.__module__}.{inner}" for inner, one in public.items() if callable(one)
            ]
            continue
        kind = "Functions" if not isinstance(found, type) else "Classes"
        if isinstance(found, type) and issubclass(found, Exception):
            kind = "Errors"
        groups[kind].append(f"{found.__module__}.{name}")
    parts = ["# Python\n"]
    for title, names in groups.items():
        parts.append(f"## {title}\n")
        parts += [f"::: {name}\n    options: {{heading_level: 3}}\n" for name in names]
    write("reference/python.md", "\n".join(parts))


def write_options() -> None:
    """`--help` of every command."""
    from grucore.cli import build_parser

    parser = build_parser()
    (commands,) = (a for a in parser._actions if isinstance(a.choices, dict))
    parts = ["# Every option\n", f"```text\n{parser.format_help()}```\n"]
    for name, command in commands.choices.items():
        parts.append(f"## grucore {name}\n\n```text\n{command.format_help()}```\n")
    write("reference/options.md", "\n".join(parts))


def write_headers() -> None:
    """The declarations of the public headers, from the comments at them."""
    for name in HEADERS:
        write(f"reference/{name}.md", cpp_reference.page(name))


def configuration(site: Site) -> Path:
    """mkdocs.yml with a menu of the examples, and with absolute folders."""
    loaded = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    for key in ("docs_dir", "site_dir"):
        loaded[key] = str(ROOT / loaded[key])
    loaded["plugins"][1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT / "python")]
    examples = [place for place in site.pages.values() if "examples" in place.parts]
    for entry in loaded["nav"]:
        if "Examples" in entry:
            entry["Examples"] = [
                {
                    f"{place.parent.name} (C++)"
                    if place.parts[0] == "cpp"
                    else place.parent.name: str(place)
                }
                for place in examples
            ]
    loaded["not_in_nav"] = "source/"
    target = PAGES.parent / "mkdocs.yml"
    target.write_text(yaml.safe_dump(loaded, sort_keys=False), "utf-8")
    return target


def main() -> int:
    """Put the pages together and build or serve them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="where the site goes (build/site/html)")
    parser.add_argument("--serve", action="store_true", help="show it instead")
    arguments = parser.parse_args()
    shutil.rmtree(PAGES, ignore_errors=True)
    site = Site()
    site.write_all()
    write_python()
    write_options()
    write_headers()
    command = [sys.executable, "-m", "mkdocs", "serve" if arguments.serve else "build", "--strict"]
    command += ["--config-file", str(configuration(site))]
    if arguments.output and not arguments.serve:
        command += ["--site-dir", str(arguments.output.resolve())]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
