"""Certificates for localhost, made by openssl for a day."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, Path]:
        return {"tls_certificate": self.certificate, "tls_key": self.key}

    def replace(self, others: "Files") -> None:
        shutil.copy(others.certificate, self.certificate)
        shutil.copy(others.key, self.key)


def made(folder: Path, *options: str) -> Files:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: that the service speaks TLS is not checked")
    folder.mkdir()
    files = Files(folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subject = ["-days", "1", "-subj", "/CN=localhost", "-addext", NAMES]
    paths = ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run([*command, *(options or ("-nodes",)), *subject, *paths], check=True, capture_output=True)
    return files
