"""A mail server for the tests: a few lines of SMTP on a port of this machine."""

import email
import email.policy
import socketserver
import threading
from contextlib import contextmanager


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.answer("220 post.test")
        for line in self.rfile:
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self.answer("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append(
                    email.message_from_bytes(text, policy=email.policy.default)
                )
                self.answer("250 taken")
            elif verb == b"RCPT" and self.server.refuses:
                self.answer(self.server.refuses)
            elif verb == b"QUIT":
                self.answer("221 bye")
                return
            else:
                self.answer("250 yes")

    def answer(self, words):
        self.wfile.write(words.encode() + b"\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def office(port=0):
    """Open a mail server while the block runs; its `taken` is what it was given."""
    with Server(("127.0.0.1", port), Session) as server:
        server.taken, server.refuses = [], ""
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
