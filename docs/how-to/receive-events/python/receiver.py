"""Receives the events of a TikTok channel: checks that they come from the operator, and keeps each of them once."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 300  # seconds
MAX_BODY = 4 << 20
INBOX = pathlib.Path(os.environ.get("INBOX", "inbox"))  # each event is a file in it, named by its id


def signing_key(secret):
    """Reads whsec_ and base64, or a text of at least 24 bytes."""
    secret = secret.strip()
    key = secret.encode()
    if secret.startswith("whsec_"):
        encoded = secret.removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    if len(key) < 24:
        sys.exit("WEBHOOK_SECRET is missing or too short")
    return key


KEY = signing_key(os.environ.get("WEBHOOK_SECRET", ""))


def verify(headers, body):
    """Says what is wrong with a signature of Standard Webhooks; None if it is good."""
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", event_id):
        return "webhook-id is missing or malformed"
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(time.time() - int(timestamp)) > TOLERANCE:
        return "webhook-timestamp is missing, or more than five minutes off"
    mac = hmac.new(KEY, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    want = b"v1," + base64.b64encode(mac.digest())
    signatures = headers.get("webhook-signature", "").encode().split()  # two while the secret is changed
    if not any(hmac.compare_digest(signature, want) for signature in signatures):
        return "no signature matches"
    return None


def keep(event_id, event):
    """Says whether the event came for the first time."""
    with tempfile.NamedTemporaryFile("w", dir=INBOX, prefix=".partial-", encoding="utf-8") as file:
        json.dump(event, file)
        file.flush()
        try:
            os.link(file.name, INBOX / f"{event_id}.json")  # of two at the same time, one succeeds
        except FileExistsError:
            return False
        return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    timeout = 120

    def do_POST(self):
        """Answers 2xx once the event is kept, 4xx to what must not come again, and 5xx to what must."""
        length = self.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length) or int(length) > MAX_BODY:
            self.close_connection = True  # the body stays unread
            return self.answer(413, "the body has no length, or is too large")
        body = self.rfile.read(int(length))
        problem = verify(self.headers, body)
        if problem:
            return self.answer(401, problem)
        event_id = self.headers["webhook-id"]  # it is signed, and the same as ce-id
        try:
            event = {
                "id": event_id,
                "type": self.headers.get("ce-type"),
                "subject": self.headers.get("ce-subject"),
                "data": json.loads(body),
            }
        except ValueError:
            return self.answer(400, "the body is not JSON")
        try:
            first = keep(event_id, event)
        except OSError as error:
            print(error, file=sys.stderr)
            return self.answer(503, "the event cannot be kept now")
        if first:
            print("received", event["type"], event_id, flush=True)  # the work of your service begins here
        return self.answer(204)

    def answer(self, status, text=""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """No line for each request."""


if __name__ == "__main__":
    INBOX.mkdir(mode=0o700, parents=True, exist_ok=True)
    host, _, port = os.environ.get("ADDRESS", ":8080").rpartition(":")
    ThreadingHTTPServer((host, int(port)), Receiver).serve_forever()
