# SPDX-License-Identifier: Apache-2.0
"""A collector for the tests: takes OTLP over HTTP in its JSON encoding, decodes it with OpenTelemetry's own messages, and
prints a line of JSON for each span. The first line is the port.

What it does otherwise than a good collector is told by `--answer`: `hang` (never), `nonsense` (no HTTP), `drip` (an answer
without end), `reject` (one span of each message), or a status."""

import argparse
import base64
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


def with_base64(value):
    """OTLP writes ids in hexadecimal digits where protobuf's JSON has base64."""
    if isinstance(value, list):
        return [with_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else with_base64(item)
        for key, item in value.items()
    }


def plain(value):
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def attributes(holder):
    return {attribute.key: plain(attribute.value) for attribute in holder.attributes}


def spans(body: bytes):
    # Fields that the messages do not have are an error here.
    message = json_format.ParseDict(with_base64(json.loads(body)), ExportTraceServiceRequest())
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name, "kind": span.kind, "trace": span.trace_id.hex(), "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(), "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano, "status": span.status.code, "message": span.status.message,
                    "scope": scope.scope.name, "attributes": attributes(span),
                    "resource": attributes(resource.resource),
                }


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = OPTIONS.answer
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/json":
            return self.reply(404)
        if OPTIONS.authorization and self.headers["Authorization"] != OPTIONS.authorization:
            return self.reply(401)
        if answer == "hang":
            return time.sleep(3600)
        if answer == "nonsense":
            self.wfile.write(b"\x00\xffSSH-2.0 no HTTP at all\r\n\r\n")
            self.close_connection = True
            return None
        if answer == "drip":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b" ")
                time.sleep(0.1)
        if answer.isdigit():
            return self.reply(int(answer))
        for span in spans(body):
            # One piece: several threads write.
            print(json.dumps(span) + "\n", end="", flush=True)
        return self.reply(200, b'{"partialSuccess":{"rejectedSpans":"1"}}' if answer == "reject" else b"{}")

    def reply(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Of a client that has gone nothing is to be said; of all else, everything.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--authorization")
parser.add_argument("--answer", default="")
parser.add_argument("--certificate")
parser.add_argument("--key")
OPTIONS = parser.parse_args()
Handler.protocol_version = "HTTP/1.1"
server = Server(("127.0.0.1", OPTIONS.port), Handler)
if OPTIONS.certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(OPTIONS.certificate, OPTIONS.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
