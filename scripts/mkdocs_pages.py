"""MkDocs hook: adds pages that live outside docs/ to the site, and makes links work there and in the repository alike."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent

# Where a file of the repository stands on the site.
ADDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "fsm/DESIGN.md": "design/fsm.md",
    "cluster/DESIGN.md": "design/cluster.md",
    "transport/DESIGN.md": "design/transport.md",
}

LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```")
ITEM = re.compile(r"^( *)(?:[-*]|\d+\.) ")


def on_files(files, config):
    for source, target in ADDED.items():
        page = File(target, str(ROOT), config["site_dir"], config["use_directory_urls"])
        page.abs_src_path = str(ROOT / source)
        files.append(page)
    return files


def on_page_markdown(markdown, page, config, files):
    on_site = page.file.src_uri
    in_repository = next((s for s, t in ADDED.items() if t == on_site), "docs/" + on_site)
    lines, fenced, before = [], False, ""
    for line in markdown.splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            line = LINK.sub(lambda m: link(m, in_repository, on_site), line)
            item = ITEM.match(line)
            if item:
                if before.strip() and not ITEM.match(before) and not before.startswith(" "):
                    lines.append("")  # Python's Markdown wants an empty line before a list
        if not fenced and re.match(r"^ +", line):
            line = indented(line)
        lines.append(line)
        before = line
    return "\n".join(lines)


def indented(line):
    """Indents what belongs to an item by four spaces, as Python's Markdown wants it, however wide the item's mark is."""
    text = line.lstrip(" ")
    return "    " + text if len(line) - len(text) <= 4 else line


def link(match, in_repository, on_site):
    """A link to a file of the repository leads to its page; one to a file without a page becomes plain text."""
    text, target = match.groups()
    path, mark, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return match.group(0)
    file = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), path))
    page = ADDED.get(file) or (file[len("docs/"):] if file.startswith("docs/") else None)
    if page is None:
        if not (ROOT / file).exists():
            raise ValueError(f"{in_repository}: {target} leads nowhere")
        return text
    return f"[{text}]({posixpath.relpath(page, posixpath.dirname(on_site) or '.')}{mark}{anchor})"
