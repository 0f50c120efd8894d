"""Real peers: promtool and a Prometheus that scrapes.

MCPTALLY_LONG=1 scrapes for a minute, as the short run does for three scrapes.
"""

import json
import os
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

import wire
from conftest import DEADLINE, until
from test_metrics import bits, define, populate

LONG = bool(os.environ.get("MCPTALLY_LONG"))
SCRAPES = 60 if LONG else 3

CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: mcptally
    static_configs:
      - targets: ["{target}"]
"""


def need(program):
    path = shutil.which(program)
    assert path, f"{program} is missing; make deps installs it"
    return path


def test_promtool_has_nothing_to_say(daemon):
    """Neither of the daemon's own metrics nor of well-named ones of each kind."""
    p = wire.Producer(daemon.socket)
    p.greet(service="test")
    p.send(define(1, "calls", wire.COUNTER, value=1, help_text="Calls."))
    p.send(define(2, "age", wire.GAUGE, unit="s", help_text="Age."))
    p.send(define(3, "latency", wire.HISTOGRAM, unit="s", bounds=(0.1, 1), flags=1,
                  help_text="Latency."))
    p.send(define(4, "sizes", wire.SUMMARY, unit="By", help_text="Sizes."))
    for number in range(1, 5):
        p.send(wire.series(number, number, tool='a"b\\c\nd'))
    p.count((1, 1), (2, 0), (3, bits(0.5)), (4, bits(10.0)))
    p.wait_ack()
    page = daemon.get("/metrics").body
    assert b"latency_seconds_quantile{" in page
    out = subprocess.run([need("promtool"), "check", "metrics"], input=page, timeout=DEADLINE,
                         capture_output=True, check=False)
    assert (out.returncode, out.stdout, out.stderr) == (0, b"", b"")


class Prometheus:
    def __init__(self, folder, target):
        (folder / "prometheus.yml").write_text(CONFIG.format(target=target))
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        self.log_path = folder / "prometheus.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [need("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={folder / 'data'}", "--log.level=info",
                 f"--web.listen-address={self.address}"], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)

    def query(self, expression):
        """The values of an instant query by label set; empty while it cannot be had."""
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode(
            {"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            assert self.process.poll() is None, self.log_path.read_text()
            return []
        return [float(r["value"][1]) for r in found]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_prometheus_scrapes_it(daemon, tmp_path):
    producer = populate(daemon)
    prometheus = Prometheus(tmp_path, daemon.address())
    try:
        until(lambda: prometheus.query(f"count_over_time(up[5m]) >= {SCRAPES}"),
              f"{SCRAPES} scrapes", deadline=DEADLINE + 2 * SCRAPES, every=0.2)
        assert prometheus.query("min_over_time(up[5m])") == [1]
        assert prometheus.query("calls_total") == [float(2**63 + 1)]
        assert prometheus.query("latency_seconds_count") == [5]
        assert prometheus.query("mcptally_build_info") == [1]
        assert prometheus.query(
            "sum(mcptally_items_received_total) - sum(mcptally_items_applied_total)"
            " - sum(mcptally_items_dropped_total)") == [0]
        assert prometheus.query("scrape_samples_scraped - scrape_samples_post_metric_relabeling"
                                ) == [0]
        log = prometheus.log_path.read_text()
        assert "level=warn" not in log and "level=error" not in log, log
    finally:
        prometheus.close()
    producer.close()
    daemon.check_accounting()
