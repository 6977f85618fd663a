"""The certificate by which the service speaks TLS."""

import logging
import ssl
from pathlib import Path

from service.settings import SettingsError

logger = logging.getLogger(__name__)


class Certificate:
    """A certificate with its key, and the context that connections are made by.

    raises: SettingsError if the files are no certificate and its key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self.context = self._made()

    def reread(self) -> None:
        """The files as they are now, for connections from now on; as they were where they cannot be used."""
        try:
            self._made()  # a context keeps half of what fits together no more
            self.context.load_cert_chain(self._certificate, self._key)
        except (SettingsError, OSError) as error:
            logger.error("the certificate stays as it was: %s", error)
        else:
            logger.info("certificate read")

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a password given here, a terminal would be asked for that of an encrypted key.
            context.load_cert_chain(self._certificate, self._key, password="-")  # noqa: S106
        except OSError as error:
            files = f"tls_certificate: {self._certificate} and tls_key: {self._key}"
            raise SettingsError(
                f"{files} are no certificate and its key in PEM, without a password: {error}"
            ) from error
        return context
