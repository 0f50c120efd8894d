"""The health of components: reports, silence, recovery, readiness; over a restart."""

import items
import wire
from conftest import until

FAST = {"health.interval": "1s", "health.timeout": "0s", "health.recovery": "2s"}


def components(daemon):
    page = daemon.get("/health/detailed", port="health")
    assert page.status in (200, 503)
    return {one["name"]: one for one in page.json()["components"]}


def state(daemon, name):
    return components(daemon).get(name, {}).get("state")


def becomes(daemon, name, wanted):
    until(lambda: state(daemon, name) == wanted, f"{name} to be {wanted}", every=0.05)


def counted(daemon):
    return {dict(labels)["state"]: value for (name, labels), value in daemon.metrics().items()
            if name == "mcptally_components"}


def check_ledger(daemon):
    """The consumer's ledger: appended = read + overrun + waiting."""
    samples = daemon.metrics()

    def number(name, **labels):
        return sum(v for (n, has), v in samples.items()
                   if n == name and set(labels.items()) <= set(has))

    appended = number("mcptally_ring_records_appended_total", ring="events")
    assert appended == (number("mcptally_ring_records_read_total", consumer="health")
                        + number("mcptally_ring_records_overrun_total", consumer="health")
                        + number("mcptally_ring_records_waiting", consumer="health"))
    assert appended > 0
    daemon.check_accounting()


def greet(daemon, **more):
    producer = wire.Producer(daemon.socket)
    producer.greet(**more)
    return producer


def test_states(daemon):
    """Reports alone, with the intervals as they come: nothing here waits for silence."""
    producer = greet(daemon, service="node")
    items.send(producer, items.health("db", "healthy", "12 ms"), items.health("disk", "degraded"),
               items.health("bus", "unhealthy", "no route"), items.event("not.health"))
    becomes(daemon, "bus", "degraded")  # one failure of three
    seen = components(daemon)
    assert seen["db"]["state"] == "healthy" and seen["db"]["message"] == "12 ms"
    assert seen["db"]["service"] == "node"
    assert seen["disk"]["state"] == "degraded"
    assert seen["bus"]["failures"] == 1
    assert daemon.get("/health", port="health").status == 200
    items.send(producer, items.health("bus", "unhealthy"), items.health("bus", "unhealthy"))
    becomes(daemon, "bus", "unhealthy")
    assert daemon.get("/health", port="health").status == 503
    assert daemon.get("/health/live", port="health").status == 200
    assert counted(daemon) == {"healthy": 1, "degraded": 1, "unhealthy": 1, "unknown": 0}
    items.send(producer, items.health("bus", "healthy"))
    becomes(daemon, "bus", "degraded")  # it has to last
    assert daemon.get("/health", port="health").status == 200
    check_ledger(daemon)


def test_silence_and_recovery(new_daemon):
    daemon = new_daemon()
    daemon.options.update(FAST)
    daemon.start()
    producer = greet(daemon)

    def reported_healthy():
        items.send(producer, items.health("db", "healthy"))
        return state(daemon, "db") == "healthy"

    until(reported_healthy, "the first report to count", every=0.05)
    becomes(daemon, "db", "unhealthy")
    assert components(daemon)["db"]["failures"] >= 3
    items.send(producer, items.health("db", "healthy"))
    becomes(daemon, "db", "degraded")
    until(reported_healthy, "the recovery", every=0.2)
    check_ledger(daemon)


def test_readiness(new_daemon):
    daemon = new_daemon()
    daemon.options["health.readiness"] = "db"
    daemon.start()

    def ready():
        return daemon.get("/health/ready", port="health").status

    assert ready() == 503  # never heard of
    producer = greet(daemon)
    items.send(producer, items.health("other", "unhealthy"), items.health("db", "healthy"))
    until(lambda: ready() == 200, "readiness")
    items.send(producer, *[items.health("db", "unhealthy")] * 3)
    until(lambda: ready() == 503, "its end")
    check_ledger(daemon)


def test_survives_the_daemon(daemon):
    """What is known of a component outlives a kill, and the time away is not its silence."""
    producer = greet(daemon)
    items.send(producer, items.health("db", "unhealthy", "first"),
               items.health("db", "unhealthy", "second"), items.health("ok", "healthy"))
    until(lambda: components(daemon).get("db", {}).get("failures") == 2, "both reports")
    daemon.kill()
    daemon.start()
    seen = components(daemon)
    assert seen["db"]["state"] == "degraded" and seen["db"]["failures"] == 2
    assert seen["db"]["message"] == "second" and seen["db"]["reports"] == 2
    assert seen["ok"]["state"] == "healthy"
    producer = greet(daemon)
    items.send(producer, items.health("db", "unhealthy"))
    becomes(daemon, "db", "unhealthy")
    check_ledger(daemon)


def test_a_flood_of_names(new_daemon, tmp_path):
    """One domain's names are bounded; a component of another is still seen."""
    daemon = new_daemon()
    daemon.config = tmp_path / "two-domains.yaml"
    daemon.config.write_text("domains.mapping: [{service: flood, domain: 1},"
                             " {service: quiet, domain: 2}]\n")
    daemon.start()
    flood = greet(daemon, service="flood")
    items.send(flood, *(items.health(f"c{i}", "healthy") for i in range(1000)))
    quiet = greet(daemon, service="quiet")
    items.send(quiet, items.health("db", "healthy"))
    becomes(daemon, "db", "healthy")
    assert 1 < sum(counted(daemon).values()) < 1000
    check_ledger(daemon)
