"""Who may ask at the HTTP ports: TLS, clients' certificates, passwords, tokens, limits.

The peers are real ones: curl, htpasswd, openssl and Prometheus.
"""

import base64
import concurrent.futures
import hashlib
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest

from conftest import BUILD, DEADLINE, ROOT, until
from test_prometheus import Prometheus, need

PASSWORD, TOKEN = "correct horse", "d41d8cd98f00b204e9800998ecf8427e"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True,
                   timeout=DEADLINE)


def certificate(folder, name, days="2", sans="DNS:localhost,IP:127.0.0.1"):
    """NAME.crt and NAME.key, by ca.crt."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
    (folder / "ext").write_text(f"subjectAltName={sans}\n")
    openssl(folder, "x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", days, "-extfile", "ext", "-out", f"{name}.crt.new")
    os.replace(folder / f"{name}.crt.new", folder / f"{name}.crt")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2", "-subj",
                f"/CN={name}")
    certificate(folder, "server")
    certificate(folder, "client", sans="DNS:scraper.example,URI:spiffe://x/y")
    return folder


def bcrypt(password, cost=4):
    out = subprocess.run([need("htpasswd"), "-nbBC", str(cost), "x", password], check=True,
                         capture_output=True, timeout=DEADLINE)
    return out.stdout.decode().strip().split(":", 1)[1]


def users(cost=4):
    return f"basic_auth_users:\n  alice: {bcrypt(PASSWORD, cost)}\n"


def tokens():
    return f"bearer_tokens:\n  t: sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n"


def tls(folder, more=""):
    return (f"tls_server_config:\n  cert_file: {folder}/server.crt\n"
            f"  key_file: {folder}/server.key\n{more}")


def write(path, text):
    """As a careful editor does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


@pytest.fixture
def start(new_daemon, tmp_path):
    """Starts a daemon with a web configuration file and options."""
    def run(text, **options):
        daemon = new_daemon()
        daemon.web = tmp_path / "web.yaml"
        write(daemon.web, text)
        daemon.options["web.config_file"] = str(daemon.web)
        daemon.options.update({k.replace("__", "."): v for k, v in options.items()})
        return daemon.start()
    return run


def curl(daemon, *arguments, path="/metrics", port="metrics", scheme="https"):
    """What curl says the status is, 0 for none."""
    line = [need("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", str(DEADLINE),
            *arguments, f"{scheme}://{daemon.address(port)}{path}"]
    out = subprocess.run(line, capture_output=True, timeout=2 * DEADLINE, check=False)
    return int(out.stdout)


def control_metrics(daemon):
    """The page over the control socket, which nobody has to be known at."""
    from prometheus_client.parser import text_string_to_metric_families
    out = subprocess.run([BUILD / "mcptally", "metrics", "--runtime-dir", str(daemon.runtime)],
                         capture_output=True, check=True, timeout=DEADLINE)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for f in text_string_to_metric_families(out.stdout.decode()) for s in f.samples}


def refused(daemon, reason, port="metrics"):
    return control_metrics(daemon)[("mcptally_http_refused_total",
                                    (("port", port), ("reason", reason)))]


def reads(daemon, result):
    return control_metrics(daemon)[("mcptally_web_config_reads_total", (("result", result),))]


def exchange(daemon, request, port="metrics"):
    """A request in plain and all that is answered."""
    host, number = daemon.address(port).rsplit(":", 1)
    with socket.create_connection((host, int(number)), DEADLINE) as s:
        s.sendall(request)
        return b"".join(iter(lambda: s.recv(65536), b""))


def cpu(daemon):
    fields = (open(f"/proc/{daemon.pid}/stat").read()).rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes(daemon, name):
    """Pids of that name among what the daemon has forked."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{pid}/stat").read()
        except OSError:
            continue
        head, tail = stat.rsplit(")", 1)
        parent = int(tail.split()[1])
        if head.endswith(f"({name}"):
            with open(f"/proc/{parent}/stat", encoding="ascii", errors="replace") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == daemon.pid:
                    found.append(int(pid))
    return found


# ---- who may ask ----

def test_passwords_and_tokens(start, certificates):
    daemon = start(tls(certificates) + users(cost=10) + tokens())
    ca = ("--cacert", str(certificates / "ca.crt"))
    bearer = f"Authorization: Bearer {TOKEN}"
    assert curl(daemon, *ca) == 401
    assert curl(daemon, *ca, "-u", f"alice:{PASSWORD}") == 200
    assert curl(daemon, *ca, "-u", f"alice:{PASSWORD}") == 200
    assert curl(daemon, *ca, "-u", "alice:wrong") == 401
    assert curl(daemon, *ca, "-u", f"bob:{PASSWORD}") == 401
    assert curl(daemon, *ca, "-H", bearer) == 200
    assert curl(daemon, *ca, "-H", bearer + "x") == 401
    assert curl(daemon, *ca, path="/health", port="health") == 200
    assert curl(daemon, path="/health", port="health") == 0, "a certificate of nobody we know"
    assert curl(daemon, scheme="http") == 0
    found = control_metrics(daemon)
    assert found[("mcptally_password_checks_total", ())] == 3
    assert refused(daemon, "unauthorized") == 4
    until(lambda: control_metrics(daemon)[("mcptally_tls_handshakes_failed_total", ())] >= 2,
          "the failed handshakes to be counted")
    log = daemon.log()
    assert PASSWORD not in log and TOKEN not in log
    daemon.check_accounting()


def test_the_health_port_may_ask_as_well(start, certificates):
    daemon = start(tls(certificates) + users(), web__health_authentication="true",
                   web__health_tls="false")
    ask = lambda *more: curl(daemon, *more, path="/health/live", port="health", scheme="http")
    assert ask() == 401
    assert ask("-u", f"alice:{PASSWORD}") == 200


def test_the_challenge_and_the_headers(start):
    daemon = start(users() + tokens() + "http_server_config:\n  headers:\n"
                   "    X-Frame-Options: sameorigin\n    Referrer-Policy:\n"
                   "    Strict-Transport-Security: max-age=9\n")
    page = daemon.get("/metrics")
    assert page.status == 401
    assert page.headers["WWW-Authenticate"] == 'Basic realm="mcptally", charset="UTF-8", Bearer'
    for answer in (page, daemon.get("/nothing", port="health"),
                   daemon.get("/health", port="health")):
        assert answer.headers["X-Frame-Options"] == "sameorigin"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-XSS-Protection"] == "0"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] is None
        assert answer.headers["Strict-Transport-Security"] is None, "this is not TLS"


@pytest.mark.parametrize("kind,none,good,bad", [
    ("RequestClientCert", 200, 200, 200),
    ("RequireAnyClientCert", 0, 200, 200),
    ("VerifyClientCertIfGiven", 200, 200, 0),
    ("RequireAndVerifyClientCert", 0, 200, 0),
])
def test_clients_certificates(start, certificates, kind, none, good, bad):
    daemon = start(tls(certificates, f"  client_auth_type: {kind}\n"
                                     f"  client_ca_file: {certificates}/ca.crt\n"))
    ca = ("--cacert", str(certificates / "ca.crt"))
    ours = (str(certificates / "client.crt"), "--key", str(certificates / "client.key"))
    other = (str(certificates / "other.crt"), "--key", str(certificates / "other.key"))
    assert curl(daemon, *ca) == none
    assert curl(daemon, *ca, "--cert", *ours) == good
    assert curl(daemon, *ca, "--cert", *other) == bad


@pytest.mark.parametrize("names,status", [("[scraper.example]", 200), ("['spiffe://x/y', z]", 200),
                                          ("[example]", 0), ("[client]", 0)])
def test_names_in_clients_certificates(start, certificates, names, status):
    daemon = start(tls(certificates, "  client_auth_type: RequireAndVerifyClientCert\n"
                                     f"  client_ca_file: {certificates}/ca.crt\n"
                                     f"  client_allowed_sans: {names}\n"))
    assert curl(daemon, "--cacert", str(certificates / "ca.crt"), "--cert",
                str(certificates / "client.crt"), "--key",
                str(certificates / "client.key")) == status


def test_versions_suites_and_curves(start, certificates):
    daemon = start(tls(certificates, "  max_version: TLS12\n  curve_preferences: [CurveP384]\n"
                       "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"))
    host, port = daemon.address().rsplit(":", 1)
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    with socket.create_connection((host, int(port)), DEADLINE) as s:
        with context.wrap_socket(s, server_hostname="localhost") as t:
            assert t.version() == "TLSv1.2"
            assert t.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_connection((host, int(port)), DEADLINE) as s, pytest.raises(OSError):
        context.wrap_socket(s, server_hostname="localhost")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ecdh_curve("prime256v1")
    with socket.create_connection((host, int(port)), DEADLINE) as s, pytest.raises(OSError):
        context.wrap_socket(s, server_hostname="localhost")


def test_a_large_page_over_tls(start, certificates):
    """Larger than all buffers on the way, read slowly, byte for byte."""
    daemon = start(tls(certificates))
    from test_metrics import populate
    import wire
    p = wire.Producer(daemon.socket)
    p.greet(service="large")
    from test_metrics import define
    p.send(define(1, "many", wire.COUNTER, value=1))
    for number in range(1, 101):
        p.send(wire.series(number, 1, tool=f"{number:03d}" * 60))
    p.count(*((n, 1) for n in range(1, 101)))
    p.wait_ack()
    populate(daemon)
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    host, port = daemon.address().rsplit(":", 1)
    with socket.create_connection((host, int(port)), DEADLINE) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with context.wrap_socket(s, server_hostname="localhost") as t:
            t.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = b""
            while piece := t.recv(1000):
                got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])
    assert body.count(b'many_total{') == 100


def test_prometheus_scrapes_with_tls_and_a_password(start, certificates, tmp_path):
    daemon = start(tls(certificates) + users())
    (tmp_path / "password").write_text(PASSWORD)
    prometheus = Prometheus(tmp_path, daemon.address() + f'''"]
    scheme: https
    tls_config: {{ca_file: {certificates}/ca.crt}}
    basic_auth: {{username: alice, password_file: {tmp_path}/password}}
    params:
      x: ["1''')
    try:
        until(lambda: prometheus.query("count_over_time(up[5m]) >= 3"), "3 scrapes", every=0.2)
        assert prometheus.query("min_over_time(up[5m])") == [1]
    finally:
        prometheus.close()


def test_otlp_with_tls_and_a_token(start, certificates):
    daemon = start(tls(certificates) + users() + tokens(), otlp__web="true")
    ca = ("--cacert", str(certificates / "ca.crt"))
    put = ("-H", "Content-Type: application/json", "-d", '{"resourceSpans":[]}')
    ask = lambda *more: curl(daemon, *ca, *put, *more, path="/v1/traces", port="otlp_http")
    assert ask() == 401
    assert ask("-H", f"Authorization: Bearer {TOKEN}") == 200
    assert ask("-u", f"alice:{PASSWORD}") == 200, "asked who it is before the body was read"
    assert ask("-u", f"alice:{PASSWORD}") == 200
    assert ask("-u", "alice:wrong") == 401
    assert refused(daemon, "unauthorized", port="otlp_http") == 2
    daemon.check_accounting()


def test_otlp_over_grpc_with_tls_and_a_password(start, certificates):
    """A real gRPC client, which asks for h2 by ALPN."""
    grpc = pytest.importorskip("grpc")
    daemon = start(tls(certificates) + users(cost=10) + tokens(), otlp__web="true")
    trusted = grpc.ssl_channel_credentials((certificates / "ca.crt").read_bytes())
    export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    with grpc.secure_channel(daemon.address("otlp_grpc"), trusted) as channel:
        def ask(authorization, path=export, body=b""):
            metadata = [("authorization", authorization)] if authorization else []
            try:
                return channel.unary_unary(path)(body, metadata=metadata, timeout=DEADLINE)
            except grpc.RpcError as error:
                return error.code().name
        basic = lambda text: "Basic " + base64.b64encode(text.encode()).decode()
        assert ask(None) == "UNAUTHENTICATED"
        assert ask("Bearer x") == "UNAUTHENTICATED"
        assert ask(f"Bearer {TOKEN}") == b""
        assert ask(basic(f"alice:{PASSWORD}")) == b"", "found out while the message came"
        assert ask(basic(f"alice:{PASSWORD}")) == b""
        assert ask(basic("alice:wrong"), body=b"x" * 100000) == "UNAUTHENTICATED"
        assert ask(None, path="/grpc.health.v1.Health/Check") == b"\x08\x01"
    with grpc.insecure_channel(daemon.address("otlp_grpc")) as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(export)(b"", timeout=5)
    found = control_metrics(daemon)
    assert found[("mcptally_otlp_refused_total", (("limit", "unauthorized"),))] == 3
    assert found[("mcptally_otlp_requests_total", (("code", "UNAUTHENTICATED"),
                  ("protocol", "grpc"), ("signal", "traces")))] == 3
    daemon.check_accounting()


# ---- changes ----

def test_changes_are_read_and_faults_are_not(start, certificates):
    daemon = start(users())
    ask = lambda user: curl(daemon, "-u", f"{user}:{PASSWORD}", scheme="http")
    assert ask("alice") == 200 and ask("bob") == 401
    write(daemon.web, users() + f"  bob: {bcrypt(PASSWORD)}\n")
    until(lambda: ask("bob") == 200, "the new user")
    assert reads(daemon, "ok") == 1
    write(daemon.web, "basic_auth_users: {alice: x}\n")
    until(lambda: reads(daemon, "error") == 1, "the fault to be found")
    assert ask("alice") == 200 and ask("bob") == 200
    assert "web.yaml:1:27: alice: expected a bcrypt hash" in daemon.log()
    until(lambda: daemon.get("/health/detailed", port="health").json()["status"] == "warn",
          "health to say so")
    write(daemon.web, tls(certificates) + users())
    until(lambda: curl(daemon, "-k", "-u", f"alice:{PASSWORD}") == 200, "TLS")
    assert curl(daemon, "-k", "-u", f"bob:{PASSWORD}") == 401
    write(daemon.web, "rate_limit: {interval: 1h, burst: 1}\n")
    daemon.reload()
    until(lambda: curl(daemon, scheme="http") in (200, 429), "plain HTTP")
    assert curl(daemon, scheme="http") == 429
    until(lambda: daemon.get("/health/detailed", port="health").json()["status"] == "pass",
          "health to be well")


def test_what_a_full_disk_leaves_of_the_file_opens_nothing(start):
    daemon = start(users())
    daemon.web.write_text("\n")
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: reads(daemon, "error") == 1, "the file to be refused")
    assert curl(daemon, scheme="http") == 401
    assert "empty; {} would be to ask nobody" in daemon.log()
    check = daemon.command() + ["--check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78 and "web.yaml:1:1: " in done.stderr
    write(daemon.web, "{}\n")
    until(lambda: curl(daemon, scheme="http") == 200, "everybody to be let in")


def test_a_renewed_certificate_is_used(start, certificates, tmp_path):
    folder = tmp_path / "renewed"
    folder.mkdir()
    for name in ("ca.crt", "ca.key", "server.crt", "server.key"):
        (folder / name).write_bytes((certificates / name).read_bytes())
    daemon = start(tls(folder))
    host, port = daemon.address().rsplit(":", 1)
    seen = lambda: ssl.get_server_certificate((host, int(port)))
    first = seen()
    write(folder / "server.key", (certificates / "client.key").read_text())
    until(lambda: reads(daemon, "error") >= 1, "a key that fits no certificate")
    assert seen() == first, "the old ones stay while only one is new"
    assert "does not fit the certificate" in daemon.log()
    certificate(folder, "server")
    until(lambda: seen() != first, "the new certificate")
    assert curl(daemon, "--cacert", str(folder / "ca.crt")) == 200
    # A new gate has nothing but the files.
    write(folder / "server.crt", "nothing\n")
    errors = reads(daemon, "error")
    until(lambda: reads(daemon, "error") > errors, "the broken certificate")
    assert curl(daemon, "--cacert", str(folder / "ca.crt")) == 200
    errors = reads(daemon, "error")
    os.kill(processes(daemon, "mcptally-gate")[0], signal.SIGKILL)
    until(lambda: reads(daemon, "error") > errors, "the new gate to say so")
    assert curl(daemon, "--cacert", str(folder / "ca.crt")) == 0
    certificate(folder, "server")
    until(lambda: curl(daemon, "--cacert", str(folder / "ca.crt")) == 200, "a good one again")


def test_a_gate_that_dies_is_replaced(start, certificates):
    daemon = start(tls(certificates) + users())
    ca = ("--cacert", str(certificates / "ca.crt"), "-u", f"alice:{PASSWORD}")
    assert curl(daemon, *ca) == 200
    for _ in range(3):
        gate, = until(lambda: processes(daemon, "mcptally-gate"), "the gate")
        os.kill(gate, signal.SIGKILL)
        until(lambda: gate not in processes(daemon, "mcptally-gate"), "its end")
        until(lambda: curl(daemon, *ca) == 200, "another gate")
    assert len(processes(daemon, "mcptally-gate")) == 1
    assert daemon.stop() == 0


@pytest.mark.parametrize("text,line", [
    ("tls_server_config: {}\n", "web.yaml:1:20: cert_file: missing"),
    ("http_server_config: {http2: true}\n", "web.yaml:1:29: http2: expected false"),
    ("tls_server_config: {cert_file: no.crt, key_file: no.key}\n", "no.crt: No such file"),
    ("nothing: 1\n", "web.yaml:1:1: nothing: unknown key"),
])
def test_check_looks_at_it(tmp_path, text, line):
    (tmp_path / "web.yaml").write_text(text)
    (tmp_path / "d.yaml").write_text("web: {config_file: web.yaml}\n")
    out = subprocess.run([BUILD / "mcptallyd", "--check", "-c", str(tmp_path / "d.yaml")],
                         capture_output=True, check=False, timeout=DEADLINE)
    assert out.returncode == 78 and line in out.stderr.decode()


def test_check_warns_of_open_ports(tmp_path, certificates):
    def warnings(web, *more):
        (tmp_path / "web.yaml").write_text(web)
        line = [BUILD / "mcptallyd", "--check", "-c", os.devnull, "-o",
                f"web.config_file={tmp_path}/web.yaml"]
        for option in more:
            line += ["-o", option]
        out = subprocess.run(line, capture_output=True, check=False, timeout=DEADLINE)
        assert out.returncode == 0, out.stderr
        return re.findall(r"^warning: (\S+):", out.stderr.decode(), re.M)
    assert warnings("{}") == []
    assert warnings("{}", "listen.metrics=*:0", "listen.health=[::1]:0") == ["listen.metrics"]
    assert warnings(users(), "listen.metrics=*:0") == ["listen.metrics"], "a password in plain"
    assert warnings(tls(certificates), "listen.metrics=*:0") == ["listen.metrics"]
    assert warnings(tls(certificates) + users(), "listen.metrics=*:0") == []
    assert warnings(tls(certificates) + users(), "listen.otlp_http=0.0.0.0:0",
                    "listen.otlp_grpc=0.0.0.0:0") == ["listen.otlp_grpc", "listen.otlp_http"]


def test_the_sample_is_a_web_configuration(tmp_path, certificates):
    sample = (ROOT / "conf/web.yaml").read_text()
    assert not re.search(r"^[^#\n]", sample, re.M), "all of it is a comment"
    text = re.sub(r"^#(?=\S*[a-z_]+:| )", "", sample.split("\n\n", 1)[1], flags=re.M)
    text = re.sub(r"^ ?(htpasswd|printf).*\n", "", text, flags=re.M)
    for name, real in (("tls.crt", "server.crt"), ("tls.key", "server.key"),
                       ("clients.crt", "ca.crt")):
        text = text.replace(name, str(certificates / real))
    (tmp_path / "web.yaml").write_text(text)
    out = subprocess.run([BUILD / "mcptallyd", "--check", "-c", os.devnull, "-o",
                          f"web.config_file={tmp_path}/web.yaml"],
                         capture_output=True, check=False, timeout=DEADLINE)
    assert out.returncode == 0, (out.stderr, text)


# ---- floods ----

def test_so_many_scrapes_a_minute(new_daemon):
    daemon = new_daemon()
    del daemon.options["metrics.requests_per_minute"]
    daemon.start()
    answers = [daemon.get("/metrics") for _ in range(105)]
    assert [a.status for a in answers] == [200] * 100 + [429] * 5
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert refused(daemon, "rate_limit") == 5
    assert {daemon.get("/health", port="health").status for _ in range(300)} == {200}
    daemon.check_accounting()


def test_a_flood_of_wrong_passwords(start):
    """Who is known is served, health answers, and the loop is not held up."""
    daemon = start(users(cost=10))
    basic = lambda text: {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
    address = daemon.address()
    known = basic(f"alice:{PASSWORD}")
    assert daemon.get("/metrics", headers=known).status == 200

    def guess(n):
        request = urllib.request.Request(f"http://{address}/metrics", headers=basic(f"alice:{n}"))
        try:
            return urllib.request.urlopen(request, timeout=DEADLINE).status
        except urllib.error.HTTPError as error:
            return error.code

    slowest = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        guesses = [pool.submit(guess, n) for n in range(400)]
        while not all(g.done() for g in guesses):
            began = time.monotonic()
            assert daemon.get("/health", port="health").status == 200
            slowest = max(slowest, time.monotonic() - began)
            assert daemon.get("/metrics", headers=known).status == 200
    found = {g.result() for g in guesses}
    print(f"slowest health with status {slowest * 1000:.1f} ms")
    assert found == {401, 503}, "some were checked, and others were one too many"
    assert refused(daemon, "checks") > 0
    assert control_metrics(daemon)[("mcptally_password_checks_total", ())] < 400
    daemon.check_accounting()


def test_methods_and_bodies(daemon):
    for port, path in (("metrics", "/metrics"), ("health", "/health")):
        answer = exchange(daemon, f"DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                          .encode(), port)
        assert answer.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in answer
        # What follows a body that nobody takes is not another request.
        answer = exchange(daemon, f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"
                          f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), port)
        assert answer.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1 ") == 1
        assert b"X-Content-Type-Options: nosniff" in answer
        assert refused(daemon, "method", port) == 1
        assert refused(daemon, "body", port) == 1


@pytest.mark.parametrize("port", ["metrics", "health", "otlp_http"])
@pytest.mark.parametrize("spoken", ["plain", "tls"])
def test_a_drip_has_an_absolute_deadline(start, certificates, port, spoken):
    """In the head of a request, and in the handshake before it."""
    daemon = start(tls(certificates) if spoken == "tls" else "{}", otlp__web="true")
    host, number = daemon.address(port).rsplit(":", 1)
    began = time.monotonic()
    with socket.create_connection((host, int(number)), DEADLINE) as s:
        s.setblocking(False)
        said = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\x03" * 500
        said = said if spoken == "tls" else b"GET / HTTP/1.1\r\nX: " + b"x" * 500
        try:
            for byte in said:
                s.send(bytes([byte]))
                time.sleep(0.05)
                try:
                    if s.recv(1000) == b"":
                        break
                except BlockingIOError:
                    pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            assert time.monotonic() - began < 20
    assert time.monotonic() - began >= 1.5, "it had its time"
    assert refused(daemon, "time", port) == 1


def test_readers_that_do_not_read_do_not_keep_probes_out(new_daemon):
    """All places of the health port are held by peers that ask and do not read."""
    daemon = new_daemon()
    daemon.options["health.connections"] = "8"
    daemon.start()
    host, number = daemon.address("health").rsplit(":", 1)
    peers = []
    try:
        for _ in range(12):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.settimeout(DEADLINE)
            s.connect((host, int(number)))
            s.setblocking(False)
            peers.append(s)
        asks = b"GET /health/detailed HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        for s in peers * 60:
            try:
                s.send(asks)
            except OSError:
                pass
        began = time.monotonic()
        for _ in range(20):
            assert exchange(daemon, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                            "health").startswith(b"HTTP/1.1 200 ")
        print(f"20 probes in {time.monotonic() - began:.2f} s")
        assert refused(daemon, "connections", "health") > 0
    finally:
        for s in peers:
            s.close()


def test_without_descriptors_nothing_spins(new_daemon):
    """At EMFILE the ports rest, cost next to nothing, and go on when there are some again."""
    daemon = new_daemon().start()
    host, number = daemon.address("metrics").rsplit(":", 1)
    used = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 4, hard))
    peers = [socket.create_connection((host, int(number)), DEADLINE) for _ in range(16)]
    try:
        until(lambda: "no descriptor left" in daemon.log(), "the descriptors to run out")
        before, began = cpu(daemon), time.monotonic()
        time.sleep(3)
        share = (cpu(daemon) - before) / (time.monotonic() - began)
        print(f"{share * 100:.2f}% of a CPU")
        assert share < 0.02
    finally:
        for s in peers:
            s.close()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: daemon.get("/health", port="health").status == 200, "health")
    assert daemon.get("/metrics").status == 200
    assert refused(daemon, "descriptors") > 0
    assert daemon.log().count("no descriptor left") == 1
    daemon.check_accounting()
