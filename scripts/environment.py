"""Makes `.venv` from a lock file where it is missing or stale; called by `scripts/environment`, with the standard library alone.

`.venv/installed.json` remembers for each lock file the hash of what was installed from it and by which Python, and is written last: an
interrupted installation is taken up again. Every package is checked against the hashes in the lock file.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

UNREACHABLE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "SSLError", "Failed to establish")
"""Pip says why it tries again, and after the last try that there is no such package."""

LONGEST_PATH = 500
"""Programs below it have paths of their own, and PostgreSQL takes 1,023 bytes in all."""


class Problem(Exception):
    """One sentence for the person at the terminal."""


def main() -> int:
    root, lock, python = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    try:
        refuse_path(str(root))
        if up_to_date(root, lock):
            return 0
        with (root / ".venv.lock").open("w") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)  # two scripts started at once: the second waits and finds it done
            ensure(root, lock, python)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as refused:
        print(
            f"The environment {root / '.venv'} cannot be made: {refused.strerror} ({refused.filename}). "
            "DocuVault must lie on a disk with room, in a folder that you may write.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def refuse_path(root: str) -> None:
    """Raises Problem if the checkout lies where no environment can be made, or Python finds no modules."""
    if ":" in root:
        raise Problem(f"DocuVault cannot run in {root}: Python takes a colon for the end of a path. Move it to a folder without one.")
    if any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000 for character in root):
        raise Problem(
            f"DocuVault cannot run in {root!r}: Python makes no environment under a name with a line break or bytes that are no UTF-8. "
            "Move it to a folder with another name."
        )
    if len(os.fsencode(root)) > LONGEST_PATH:
        raise Problem(f"DocuVault cannot run in {root}: the path has more than {LONGEST_PATH} bytes. Move it to a shorter one.")


def ensure(root: Path, lock: str, base: str) -> None:
    """`.venv`, made with the Python `base`, holds what `lock` says. Raises Problem."""
    folder, python = root / ".venv", root / ".venv" / "bin" / "python"
    if up_to_date(root, lock):
        return
    wanted = _hash(root / lock)
    if not _version(python):
        _create(folder, base)
    _install(root, python, lock)
    (folder / "installed.json").write_text(json.dumps(_stamps(folder) | {lock: [wanted, _version(python)]}, indent=1) + "\n")


def up_to_date(root: Path, lock: str) -> bool:
    """Whether `.venv` works and was installed from `lock` as it is now, or from the developers' lock file, which holds all of it."""
    version, stamps = _version(root / ".venv" / "bin" / "python"), _stamps(root / ".venv")
    return bool(version) and any(stamps.get(name) == [_hash(root / name), version] for name in (lock, "requirements-dev.lock"))


def _create(folder: Path, base: str) -> None:
    print(f"Making {folder} (once).", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([base, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        said = f"{made.stdout}\n{made.stderr}"
        if "ensurepip" in said or "No module named" in said:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise Problem(f"This Python has no working venv module: install it (on Debian and Ubuntu: apt install python{version}-venv).")
        raise Problem(f"The environment could not be made: {_last(said)}")


def _install(root: Path, python: Path, lock: str) -> None:
    """Installs from the lock file; shows how far it is."""
    total = sum(1 for line in (root / lock).read_text().splitlines() if line[:1].isalnum() and "==" in line)
    if subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0:
        subprocess.run([str(python), "-m", "ensurepip"], capture_output=True, check=False)
    command = [str(python), "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(root / lock)]
    command += ["--no-compile", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    started, seen, lines = time.monotonic(), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line.strip())
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                _progress(f"Fetching packages: {min(seen, total)} of {total}", worth_a_line=seen % 20 == 0)
            elif line.startswith("Installing collected packages"):
                _progress("Installing them", worth_a_line=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if pip.returncode != 0:
        problem = next((line for line in lines if line.startswith("ERROR:")), _last("\n".join(lines))).removeprefix("ERROR: ")
        if problem.startswith(("Could not find a version", "No matching distribution")) and any(
            sign in line for line in lines for sign in UNREACHABLE
        ):
            problem = "the package index cannot be reached; look at the network, or set PIP_INDEX_URL or PIP_PROXY, and try again."
        elif "No space left" in problem:
            problem = f"the disk of {root} is full; make room, and try again."
        raise Problem(f"The packages of {lock} could not be installed: {problem}")
    print(f"Installed {seen} packages in {time.monotonic() - started:.0f} s.", file=sys.stderr)


def _progress(line: str, *, worth_a_line: bool) -> None:
    """On a terminal one line that changes; elsewhere a line now and then."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line} …", end="", file=sys.stderr, flush=True)
    elif worth_a_line:
        print(line, file=sys.stderr, flush=True)


def _version(python: Path) -> str:
    """Which Python an environment has; empty where it does not work (its Python was removed, or too old)."""
    try:
        found = subprocess.run([str(python), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def _stamps(folder: Path) -> dict[str, list[str]]:
    try:
        found: dict[str, list[str]] = json.loads((folder / "installed.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
