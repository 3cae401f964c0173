"""Takes what applications report over HTTP: spans of OpenTelemetry (OTLP), events of Sentry. The first line of the
output is its port; every further one is a JSON object, a span or an event."""

import gzip
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for entry in spans(body) if self.path == "/v1/traces" else events(body):
            print(json.dumps(entry), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def spans(body):
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        attributes = flat(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                own = flat(span.attributes)
                yield {"span": span.name, "trace": span.trace_id.hex(), "resource": attributes, "attributes": own}


def flat(attributes):
    """Attributes without their types."""
    return {one.key: next(iter(MessageToDict(one.value).values()), None) for one in attributes}


def events(body):
    """An envelope is lines: its header, then the header and the payload of each item."""
    lines = body.split(b"\n")
    for header, payload in zip(lines[1::2], lines[2::2]):
        if json.loads(header)["type"] == "event":
            yield {"event": json.loads(payload)}


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_address[1], flush=True)
server.serve_forever()
