"""Checks the rules of the tree that a compiler does not: layers, namespaces, top level, READMEs, no file left out, no racing pipe.

Usage: layering.py REPOSITORY BUILD_FOLDER. Prints one line for each violation; exit code 1 if there is one.
"""

import json
import pathlib
import re
import sys

# Which folders' headers a folder's files may include. comm and models never see each other, nothing includes upward.
MAY_INCLUDE = {
    "comm": {"comm"},
    "models": {"models"},
    "trainer": {"trainer", "comm", "models"},
    "launch": {"launch", "trainer", "comm", "models"},
    "tests": {"tests", "launch", "trainer", "comm", "models"},
}
LAYERS = [folder for folder in MAY_INCLUDE if folder != "tests"]
TOP_LEVEL = {*MAY_INCLUDE, "configs", "docs", "CMakeLists.txt", "CMakePresets.json", "README.md", "CHANGELOG.md",
             "LICENSE", "requirements.txt"}
NOT_OURS = {"build", "runs", "__pycache__"}  # as in .gitignore
README_LINES = 40
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
NAMESPACE = re.compile(r"^\s*namespace\s+(elbow[\w:]*)", re.MULTILINE)
PIPE_INTO_QUIET_GREP = re.compile(r"\|&?\s*grep\s+-\w*q")


class Tree:
    """The repository's own files with their text; binary files are left out."""

    def __init__(self, root):
        self.root = root
        self.texts = {}
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            if path.is_file() and parts[0] != ".git" and not NOT_OURS.intersection(parts):
                try:
                    self.texts["/".join(parts)] = path.read_text()
                except UnicodeDecodeError:
                    pass

    def sources(self):
        """(name, top folder, text) of every C++ file in a layer or in tests/."""
        for name, text in self.texts.items():
            folder = name.split("/")[0]
            if folder in MAY_INCLUDE and name.endswith((".h", ".cpp")):
                yield name, folder, text


def includes(tree):
    for name, folder, text in tree.sources():
        for bracket, target in INCLUDE.findall(text):
            top = target.split("/")[0]
            if bracket == "<":
                if top in MAY_INCLUDE and target in tree.texts:
                    yield f"{name} includes <{target}>: our own files go in quotes"
            elif target not in tree.texts:
                yield f'{name} includes "{target}": paths start at the repository'
            elif top not in MAY_INCLUDE[folder]:
                yield f'{name} includes "{target}": {folder} may include {", ".join(sorted(MAY_INCLUDE[folder]))} only'


def namespaces(tree):
    for name, folder, text in tree.sources():
        if folder == "tests":
            continue
        for namespace in NAMESPACE.findall(text):
            if namespace.split("::")[:2] != ["elbow", folder]:
                yield f"{name} opens namespace {namespace}: it must be elbow::{folder}"


def headers(tree):
    for name, _, text in tree.sources():
        if name.endswith(".h"):
            if not text.startswith("//"):
                yield f"{name} does not open with what it is for"
            if "#pragma once" not in text:
                yield f"{name} lacks #pragma once"


def top_level(tree):
    for entry in sorted(tree.root.iterdir()):
        if entry.name not in TOP_LEVEL | NOT_OURS and not entry.name.startswith("."):
            yield f"{entry.name} does not belong at the top level"


def readmes(tree):
    for folder in [*MAY_INCLUDE, "configs"]:
        if f"{folder}/README.md" not in tree.texts:
            yield f"{folder}/ has no README.md"
    for name, text in tree.texts.items():
        if name.split("/")[0] in MAY_INCLUDE and name.endswith("README.md") and len(text.splitlines()) > README_LINES:
            yield f"{name} has {len(text.splitlines())} lines, more than {README_LINES}"


def unfinished(tree):
    for name, text in tree.texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if UNFINISHED.search(line):
                yield f"{name}:{number} leaves something unfinished: {line.strip()}"


def broken_pipes(tree):
    """grep -q leaves at the first match; who still writes gets SIGPIPE, and under pipefail the match counts as none."""
    for name, text in tree.texts.items():
        if not name.endswith(".sh") and not text.startswith("#!/usr/bin/env bash"):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if PIPE_INTO_QUIET_GREP.search(line):
                yield f"{name}:{number} pipes into grep -q, which fails at times: let grep read a file or a here-string"


def unbuilt(tree, build_folder):
    """Sources that no target compiles; CUDA's only where CUDA is built at all."""
    commands = json.loads((build_folder / "compile_commands.json").read_text())
    built = {command["file"] for command in commands}
    with_cuda = any("/cuda/" in file for file in built)
    for name, _, _ in tree.sources():
        if name.endswith(".cpp") and (with_cuda or "/cuda/" not in name) and not any(
                file.endswith("/" + name) for file in built):
            yield f"{name} is in no target"


def unreferenced(tree):
    """Files under tests/ that are neither found by CMake's globs nor named by another file."""
    for name in tree.texts:
        if not name.startswith("tests/") or name.endswith(("_test.cpp", "_test.sh", "README.md", "CMakeLists.txt")):
            continue
        if name.startswith("tests/support/") and name.endswith(".cpp"):
            continue
        if name.startswith("tests/bench/results/"):  # logs of measurements
            continue
        basename = name.split("/")[-1]
        if not any(basename in text for other, text in tree.texts.items() if other != name):
            yield f"{name} is used by nothing"


def main():
    tree = Tree(pathlib.Path(sys.argv[1]))
    violations = [line for check in (includes, namespaces, headers, top_level, readmes, unfinished, broken_pipes, unreferenced)
                  for line in check(tree)]
    violations += unbuilt(tree, pathlib.Path(sys.argv[2]))
    print("\n".join(violations) if violations else f"{len(tree.texts)} files keep the rules")
    sys.exit(1 if violations else 0)


main()
