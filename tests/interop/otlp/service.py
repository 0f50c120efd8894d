"""A Python service with the stock SDK: sends spans, metrics and logs of many forms.

    service.py grpc|http/protobuf TRACES

The endpoint comes from OTEL_EXPORTER_OTLP_ENDPOINT, as with any other service.
"""

import importlib
import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

PROTOCOL, COUNT = sys.argv[1], int(sys.argv[2])
WORD = {"grpc": "grpc", "http/protobuf": "http"}[PROTOCOL]
RESOURCE = Resource.create({"service.name": f"python-{WORD}", "service.instance.id": "two",
                            "pid": 42, "share": 0.25, "tags": ["p", "q"]})


def exporter(module, name):
    room = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{WORD}.{module}")
    return getattr(room, name)()


def spans():
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter("trace_exporter", "OTLPSpanExporter"),
                                                   max_queue_size=100000,
                                                   max_export_batch_size=300))
    tracer = provider.get_tracer("interop.python", "9", attributes={"scope.attribute": 1})
    other = SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), True, TraceFlags(1))
    for i in range(COUNT):
        with tracer.start_as_current_span(f"job {i % 6}", kind=SpanKind.CONSUMER,
                                          links=[Link(other, {"n": i})],
                                          attributes={"i": i, "f": i / 7, "b": i % 2 == 0,
                                                      "s": "ü" * (i % 30), "l": [1, 2, 3]}) as root:
            root.add_event("taken", {"queue": f"q{i % 3}"})
            with tracer.start_as_current_span("step", kind=SpanKind.INTERNAL) as step:
                step.set_attribute("bytes", i * 1000)
                if i % 10 == 9:
                    step.set_status(Status(StatusCode.ERROR, f"failed {i}"))
    provider.shutdown()


def metrics():
    reader = PeriodicExportingMetricReader(exporter("metric_exporter", "OTLPMetricExporter"),
                                           export_interval_millis=3600000)
    provider = MeterProvider(metric_readers=[reader], resource=RESOURCE)
    meter = provider.get_meter("meters.python")
    jobs = meter.create_counter("jobs", "{job}", "Jobs.")
    cost = meter.create_counter("cost", "USD")
    lasted = meter.create_histogram("lasted", "s", explicit_bucket_boundaries_advisory=[0.5, 1, 2])
    depth = meter.create_up_down_counter("depth")
    level = meter.create_gauge("level", "%")
    for i in range(200):
        jobs.add(1, {"queue": f"q{i % 3}"})
        cost.add(0.125, {"queue": f"q{i % 3}"})
        lasted.record(i / 50)
        depth.add(1 if i % 3 else -1)
        level.set(i / 2)
    provider.force_flush()
    provider.shutdown()


def logs():
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter("_log_exporter",
                                                                       "OTLPLogExporter")))
    log = logging.getLogger("interop")
    log.addHandler(LoggingHandler(logger_provider=provider))
    log.setLevel(logging.DEBUG)
    log.propagate = False
    for i in range(60):
        log.log((10, 20, 40)[i % 3], "line %d of many", i, extra={"n": i, "half": i / 2})
    provider.shutdown()


trace.set_tracer_provider(TracerProvider())
spans()
if COUNT <= 1000:
    metrics()
    logs()
