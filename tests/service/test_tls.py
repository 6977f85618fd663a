"""The service speaks TLS, with a certificate that openssl makes for a day."""

import asyncio
import shutil
import signal
import ssl
from pathlib import Path

import httpx
import pytest

from service.settings import SettingsError
from service.tls import Certificate
from tests.service.certificates import Files, made
from tests.service.conftest import Running, on_sockets
from tests.service.pictures import plain
from tests.service.processes import connected, free_port, logged, run


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return made(tmp_path / "one")


def trusting(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.certificate)


async def shown(address: tuple[str, int]) -> str:
    """The certificate that a connection is shown, in PEM."""
    return await asyncio.to_thread(ssl.get_server_certificate, address)


def client(running: Running, files: Files) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"https://localhost:{running.address[1]}", verify=trusting(files))


async def test_a_picture_is_answered_over_tls(files: Files) -> None:
    async with on_sockets(**files.settings) as running, client(running, files) as https:
        answer = await https.post("/pose", content=plain())
        assert (answer.status_code, answer.json()["request_id"]) == (200, answer.headers["x-request-id"])


async def test_a_client_that_does_not_trust_the_certificate_does_not_send(
    files: Files, tmp_path: Path
) -> None:
    other = made(tmp_path / "other")
    async with on_sockets(**files.settings) as running, client(running, other) as https:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await https.get("/livez")


async def test_plain_http_is_not_answered(files: Files) -> None:
    async with on_sockets(**files.settings) as running:
        with pytest.raises(httpx.TransportError):
            await running.client.get("/livez")


async def test_old_versions_of_tls_are_not_spoken(files: Files) -> None:
    context = trusting(files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert Certificate(files.certificate, files.key).context.minimum_version is ssl.TLSVersion.TLSv1_2
    async with on_sockets(**files.settings) as running:
        _, writer = await asyncio.open_connection(*running.address, ssl=context)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()


async def test_headers_are_bounded_over_tls_too(files: Files) -> None:
    async with on_sockets(**files.settings, header_timeout_s=0.05) as running:
        reader, writer = await asyncio.open_connection(*running.address, ssl=trusting(files))
        writer.write(b"GET /livez HTTP/1.1\r\n")
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_sighup_reads_certificate_and_keys_again(files: Files, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("old-key\n")
    environment = {"HRFORMER_TLS_CERTIFICATE": str(files.certificate), "HRFORMER_TLS_KEY": str(files.key)}
    address = ("127.0.0.1", free_port())
    port = {"HRFORMER_PORT": str(address[1]), "HRFORMER_API_KEYS_FILE": str(keys)}
    process = await run("tests.service.echo_server", **environment, **port)
    try:
        async with httpx.AsyncClient(
            base_url=f"https://localhost:{address[1]}", verify=trusting(files)
        ) as https:
            await connected(https)
        await logged(process, "ready")
        assert await shown(address) == files.certificate.read_text()
        files.replace(made(tmp_path / "other"))
        keys.write_text("new-key\n")
        process.send_signal(signal.SIGHUP)
        await logged(process, "models swapped")
        assert await shown(address) == files.certificate.read_text()
        async with httpx.AsyncClient(verify=trusting(files)) as https:
            url = f"https://localhost:{address[1]}/models"
            statuses = [
                (await https.get(url, headers={"X-API-Key": key})).status_code
                for key in ("old-key", "new-key")
            ]
        assert statuses == [403, 200]
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_files_that_do_not_fit_are_kept_out_and_logged(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(files.certificate, files.key)
    shutil.copy(made(tmp_path / "other").certificate, files.certificate)
    certificate.reread()
    [record] = caplog.records
    assert (record.levelname, record.message.startswith("the certificate stays as it was")) == ("ERROR", True)


@pytest.mark.parametrize("fault", ["missing", "no PEM", "of another", "with a password"])
def test_files_that_cannot_be_used_are_an_error_at_start(files: Files, tmp_path: Path, fault: str) -> None:
    if fault == "missing":
        files.key.unlink()
    elif fault == "no PEM":
        files.certificate.write_text("certificate")
    elif fault == "of another":
        shutil.copy(made(tmp_path / "other").key, files.key)
    else:
        files.replace(made(tmp_path / "secret", "-passout", "pass:secret"))
    with pytest.raises(SettingsError, match="tls_certificate: .* tls_key: "):
        Certificate(files.certificate, files.key)
