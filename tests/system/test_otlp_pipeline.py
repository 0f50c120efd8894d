"""What becomes of OTLP in the daemon, from the request to /metrics: as an SDK sends it, in
OTLP/JSON over HTTP."""

import json
import time

import otlp
import pytest

SECOND = 1_000_000_000


def attr(key, value):
    kind = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return {"key": key, "value": {kind[type(value)]: value}}


def attrs(values):
    return [attr(k, v) for k, v in values.items()]


def resource(service="shop", **more):
    return {"attributes": attrs({"service.name": service, **more})}


def post(daemon, signal, message):
    answer = otlp.post(daemon, signal, message)
    assert answer.status == 200, answer.text
    return json.loads(answer.body or b"{}")


def metrics(*all_metrics, **of):
    return {"resourceMetrics": [{"resource": resource(**of), "scopeMetrics": [
        {"scope": {"name": "lib", "version": "1.0"}, "metrics": list(all_metrics)}]}]}


def total(name, start, now, value, **labels):
    return {"name": name, "unit": "1", "sum": {
        "aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [
            {"startTimeUnixNano": str(start), "timeUnixNano": str(now), "asInt": str(value),
             "attributes": attrs(labels)}]}}


def span(name, lasted_ms, parent=None, error=False, kind=2, **values):
    start = time.time_ns() - lasted_ms * 1_000_000
    return {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
            "parentSpanId": parent or "", "name": name, "kind": kind,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + lasted_ms * 1_000_000),
            "status": {"code": 2} if error else {}, "attributes": attrs(values)}


def traces(*spans, **of):
    return {"resourceSpans": [{"resource": resource(**of), "scopeSpans": [
        {"scope": {"name": "lib"}, "spans": list(spans)}]}]}


def value(daemon, name, **labels):
    found = [v for (n, of), v in daemon.metrics().items()
             if n == name and set(labels.items()) <= set(of)]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_cumulative_counters_count_once_over_a_kill(daemon):
    start = time.time_ns() + SECOND
    for n in (5, 5, 8):
        post(daemon, "metrics", metrics(total("shop.orders", start, start + n, n, region="eu")))
    assert value(daemon, "shop_orders_total", region="eu", service_name="shop") == 8
    daemon.kill()
    daemon.start()
    for n in (8, 9):
        post(daemon, "metrics", metrics(total("shop.orders", start, start + n, n, region="eu")))
    assert value(daemon, "shop_orders_total", region="eu", service_name="shop") == 9
    assert value(daemon, "mcptally_otlp_stale_points_total") == 2
    daemon.check_accounting()


def test_a_counter_from_before_the_daemon_begins_at_a_baseline(daemon):
    start = time.time_ns() - 3600 * SECOND
    for n in (100, 103):
        post(daemon, "metrics", metrics(total("old", start, start + n, n)))
    assert value(daemon, "old_total") == 3
    assert value(daemon, "mcptally_otlp_baseline_points_total") == 1
    daemon.check_accounting()


def test_histograms_and_what_is_refused(daemon):
    def latency(bounds, counts):
        return {"name": "latency", "unit": "s", "histogram": {
            "aggregationTemporality": 1, "dataPoints": [
                {"startTimeUnixNano": "1", "timeUnixNano": "2", "count": str(sum(counts)),
                 "sum": 1.5, "explicitBounds": bounds, "bucketCounts": [str(c) for c in counts]}]}}
    assert post(daemon, "metrics", metrics(latency([0.1, 1], [1, 2, 3]))) == {}
    answer = post(daemon, "metrics", metrics(latency([0.2, 1], [1, 2, 3])))
    assert int(answer["partialSuccess"]["rejectedDataPoints"]) == 1
    assert "bounds_mismatch" in answer["partialSuccess"]["errorMessage"]
    assert value(daemon, "latency_seconds_bucket", le="1.0") == 3
    assert value(daemon, "latency_seconds_count") == 6
    assert daemon.check_accounting()["dropped"]["bounds_mismatch"] == 1


def test_exponential_histograms_have_buckets_and_quantiles(daemon):
    point = {"startTimeUnixNano": "1", "timeUnixNano": "2", "count": "10", "sum": 20,
             "scale": 0, "positive": {"offset": 0, "bucketCounts": ["0", "10"]}}
    post(daemon, "metrics", metrics({"name": "took", "unit": "s", "exponentialHistogram": {
        "aggregationTemporality": 1, "dataPoints": [point]}}))
    assert value(daemon, "took_seconds_count") == 10
    assert value(daemon, "took_seconds_bucket", le="5.0") == 10
    assert value(daemon, "took_seconds_quantile", quantile="0.5") == pytest.approx(2.83, rel=0.02)
    daemon.check_accounting()


def test_the_resource_is_target_info_and_labels_when_asked(new_daemon):
    daemon = new_daemon()
    daemon.options["metrics.resource_labels"] = "service.instance.id"
    daemon.options["metrics.scope_labels"] = "true"
    daemon.start()
    of = {"service": "shop", "service.instance.id": "i1", "host.name": "h", "api_key": "sk-12345"}
    now = time.time_ns() + SECOND
    post(daemon, "metrics", metrics(total("hits", now, now + 1, 2), **of))
    assert value(daemon, "hits_total", service_instance_id="i1", otel_scope_name="lib",
                 otel_scope_version="1.0") == 2
    assert value(daemon, "target_info", service_name="shop", service_instance_id="i1",
                 host_name="h", api_key="[REDACTED]") == 1
    of["host.name"] = "other"
    post(daemon, "metrics", metrics(total("hits", now, now + 2, 3), **of))
    assert value(daemon, "target_info", service_name="shop")  # one, and not two
    daemon.check_accounting()


def test_spans_make_metrics_whatever_sampling_does(new_daemon):
    daemon = new_daemon()
    daemon.options["spans.dimensions"] = "tenant"
    for tier in ("debug", "normal", "critical"):
        daemon.options[f"sampling.{tier}"] = "0%"
    daemon.options["sampling.window"] = "0"
    daemon.start()
    post(daemon, "traces", traces(
        span("GET /", 30, tenant="a"), span("GET /", 30, tenant="a"),
        span("GET /", 700, tenant="a", error=True)))
    of = {"service_name": "shop", "span_name": "GET /", "span_kind": "SPAN_KIND_SERVER",
          "tenant": "a"}
    name = "traces_span_metrics_"
    assert value(daemon, name + "calls_total", status_code="STATUS_CODE_UNSET", **of) == 2
    assert value(daemon, name + "calls_total", status_code="STATUS_CODE_ERROR", **of) == 1
    assert value(daemon, name + "duration_seconds_bucket", status_code="STATUS_CODE_UNSET",
                 le="0.05", **of) == 2
    assert daemon.check_accounting()["received"] == 3


def test_operations_of_mcp_and_their_exemplars(daemon):
    post(daemon, "traces", traces(
        span("tools/call add", 30, **{"mcp.method.name": "tools/call", "gen_ai.tool.name": "add"}),
        span("tools/call add", 30, error=True, **{
            "mcp.method.name": "tools/call", "gen_ai.tool.name": "add",
            "error.type": "tool_error"})))
    name = "mcp_server_operation_duration_seconds"
    of = {"mcp_method_name": "tools/call", "gen_ai_tool_name": "add", "service_name": "shop"}
    assert value(daemon, name + "_count", error_type="tool_error", **of) == 1
    page = daemon.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text
    bucket = [line for line in page.splitlines()
              if line.startswith(name + "_bucket") and 'le="0.05"' in line]
    assert bucket and all(
        '# {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 0.03 ' in line
        for line in bucket)
    assert "trace_id=" not in daemon.get("/metrics").text
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    shown = [s.exemplar for family in text_string_to_metric_families(page)
             for s in family.samples if s.exemplar]
    assert shown and all(e.labels["trace_id"] for e in shown)
    daemon.check_accounting()
