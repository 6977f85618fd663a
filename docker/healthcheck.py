"""Exit code 0 when the service in this container takes work.

A bare socket: Python with its HTTP library needs 63 ms of a core, this 16, and it runs every five seconds.
With TLS the certificate is not checked: it is for another name than 127.0.0.1.
"""

import os
import socket
import sys

with socket.create_connection(("127.0.0.1", int(os.environ["HRFORMER_PORT"])), timeout=2) as connection:
    if "HRFORMER_TLS_CERTIFICATE" in os.environ:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection)  # noqa: PLW2901
    connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
    is_ready = b" 200 " in connection.recv(64)
sys.exit(not is_ready)
