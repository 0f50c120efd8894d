"""What tests of forwarding share: a destination in the configuration, what the daemon says of
it, and what a collector took."""

import json
import pathlib
import re

import otlp
from collector import GrpcCollector
from conftest import until


def protocol(collector):
    return "grpc" if isinstance(collector, GrpcCollector) else "http/protobuf"


def endpoint(collector):
    return getattr(collector, "base", None) or collector.endpoint


def destination(collector, **more):
    return {"name": "up", "protocol": protocol(collector), "endpoint": endpoint(collector), **more}


def set_destinations(daemon, *all_of_them):
    daemon.options["export.destinations"] = json.dumps(all_of_them)
    daemon.options.update({"export.batch_delay": "20ms", "export.retry_first": "50ms",
                           "export.retry_most": "200ms", "export.spool_after": "0",
                           "sampling.window": "0"})
    return daemon


def lane(daemon, name="logs", destination="up"):
    return next(one for one in daemon.status()["export"]
                if one["signal"] == name and one["destination"] == destination)


def check_ledger(daemon, name="logs", ring="events"):
    """read + found + pushed = what became of items + what is in the spool, once nothing is on its
    way: the daemon's own log goes there, too, and it may have said something just now."""
    until(lambda: is_balanced(daemon, name, ring), "a ledger that balances")


def is_balanced(daemon, name, ring):
    m = {(key, labels.get("outcome")): value for (key, pairs), value in daemon.metrics().items()
         for labels in [dict(pairs)] if labels.get("signal") == name}
    done = sum(v for (key, _), v in m.items() if key == "mcptally_export_items_total")
    found = m["mcptally_export_spool_found_items_total", None]
    in_spool = m["mcptally_export_spool_items", None]
    read = next(c["read"] for c in daemon.status()["consumers"]
                if c["consumer"] == "export/up" and c["ring"] == ring)
    return read + found == done + in_spool


def check_of(daemon):
    detailed = daemon.get("/health/detailed", "health").json()
    return next(c for c in detailed["checks"] if c["name"] == "export/up")


def log_bodies(collector):
    """The texts of all log records that came, in order."""
    return [text for request in collector.requests if request.signal == "logs"
            for text in re.findall(r"<(line \d+)>", request.body.decode("latin-1"))]


def say(daemon, *numbers):
    """Of one resource: a request has its items by resource, and in order only within one."""
    for number in numbers:
        line = otlp.request(otlp.log(f"<line {number}>"))
        assert otlp.post(daemon, "logs", line).status == 200


def children(pid):
    out = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            out.append(int(path.parent.name))
    return out


def helpers(pid):
    """Those that do the work of a daemon that may block: children of the one that forks them."""
    return [one for child in children(pid) for one in children(child)]
