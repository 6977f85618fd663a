"""As many connections as are needed at once, kept for the next request."""

import asyncio

from service.client.connection import Address, Answer, Connection


class Pool:
    """Connections to one service; of those that are idle, the one used last is taken first."""

    def __init__(self, address: Address, *, max_connections: int = 1000) -> None:
        """max_connections: open at once; a request for which there is none left waits for one."""
        self.address, self.opened = address, 0
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(max_connections)

    async def ask(self, request: bytes) -> Answer:
        """The answer, whatever its status. Whoever is cancelled leaves: the connection is closed.

        raises: OSError where none can be opened, or it breaks.
        """
        async with self._places:
            connection = self._take() or await self._open()
            try:
                answer = await connection.ask(request)
            except BaseException:
                connection.close()
                raise
            if answer.stays_open:
                self._idle.append(connection)
            else:
                connection.close()
            return answer

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _open(self) -> Connection:
        self.opened += 1
        return await Connection.open(self.address)
