"""Copy the third-party modules of the viewer out of their npm packages.

Nothing is built: files are taken as published, except that bare imports (`from 'three'`), which a
browser cannot resolve without an inline import map, become relative ones. `VENDOR.json` names each
file with the SHA-256 that it was published with and the one that it has here.

    python vendor.py [--package FILE.tgz]

Without a file the package comes from the registry by `npm pack`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NAME = "three"
VERSION = "0.187.0"
LICENCE = "MIT"
SHA256 = "ff540832ded0cfe919764d24a3d88f3e2a05f23303f876423e4f893841e90728"
FILES = {
    "build/three.module.js": "three/three.module.js",
    "build/three.core.js": "three/three.core.js",
    "LICENSE": "three/LICENSE",
}
"""Path in the package: path below `static/vendor`."""

_BARE = re.compile(r"""(\bfrom\s*|\bimport\s*\(?\s*)(['"])three\2""")
_VENDOR = Path(__file__).parent / "static" / "vendor"


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def relative_imports(text: str, target: str) -> str:
    """Return a module with bare imports of three made relative to where the module lies."""
    up = "../" * (target.count("/") - 1)
    path = f"{up or './'}three.module.js"
    return _BARE.sub(lambda found: f"{found[1]}{found[2]}{path}{found[2]}", text)


def fetch(folder: Path) -> Path:
    """Return the package of the pinned version, from the registry."""
    command = ["npm", "pack", f"{NAME}@{VERSION}", "--silent", "--pack-destination", str(folder)]
    subprocess.run(command, check=True)
    return folder / f"{NAME}-{VERSION}.tgz"


def unpack(package: Path, vendor: Path) -> None:
    """Write the files of a package and `VENDOR.json` below a folder.

    Raises:
        ValueError: it is another package than the pinned one.
    """
    got = digest(package.read_bytes())
    if got != SHA256:
        raise ValueError(f"{package.name} has the SHA-256 {got}, {SHA256} is pinned")
    rows = []
    with tarfile.open(package) as archive:
        for source, target in FILES.items():
            member = archive.extractfile(f"package/{source}")
            if member is None:
                raise ValueError(f"{package.name} holds no {source}")
            published = member.read()
            data = published
            if source.endswith(".js"):
                data = relative_imports(published.decode(), target).encode()
            path = vendor / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            rows.append(
                {
                    "file": target,
                    "source": source,
                    "sha256": digest(data),
                    "published_sha256": digest(published),
                }
            )
    page = {
        "packages": [
            {
                "name": NAME,
                "version": VERSION,
                "licence": LICENCE,
                "package_sha256": SHA256,
                "files": rows,
            }
        ]
    }
    (vendor / "VENDOR.json").write_text(json.dumps(page, indent=2) + "\n")


def main() -> int:
    """Fetch where need be, and unpack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--package", type=Path, help="the package, if it is here already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = options.package or fetch(Path(folder))
        unpack(package, _VENDOR)
    return 0


if __name__ == "__main__":
    sys.exit(main())
