"""What killer.c has emitted against what /metrics shows, and both ledgers."""

SHARDS = 8


def lasting(samples):
    """The samples that may never go back: counters of series that do not expire, and ledgers."""
    ends = ("_total", "_count", "_sum", "_bucket")
    begins = ("kill_ops", "kill_duration", "kill_size", "kill_done", "kill_amount",
              "mcptally_items_", "mcptally_ring_records_", "mcptally_series_")
    return {key: value for key, value in samples.items()
            if key[0].startswith(begins) and key[0].endswith(ends)}


def number(samples, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = set(labels.items())
    return sum(v for (n, has), v in samples.items() if n == name and wanted <= set(has))


def check_balance(samples):
    """Both ledgers, as /metrics shows them."""
    total = {what: number(samples, f"mcptally_items_{what}_total")
             for what in ("received", "applied", "dropped")}
    assert total["received"] == total["applied"] + total["dropped"], total
    ring = {what: number(samples, f"mcptally_ring_records_{what}", consumer="health") +
            number(samples, f"mcptally_ring_records_{what}_total", consumer="health")
            for what in ("read", "overrun", "waiting")}
    appended = number(samples, "mcptally_ring_records_appended_total", ring="events")
    assert appended == sum(ring.values()), (appended, ring)
    return total


def check_totals(samples, made):
    """Every total of every producer, to the last one."""
    for service, own in made.items():
        def got(name, **labels):
            return number(samples, name, service_name=service, **labels)
        for i in range(SHARDS):
            shard = {"shard": str(i)}
            assert got("kill_ops_total", **shard) == own["ops"][i]
            assert got("kill_duration_seconds_count", **shard) == own["seconds_count"][i]
            assert got("kill_duration_seconds_sum", **shard) == own["seconds_eighths"][i] / 8
            assert got("kill_size_bytes_count", **shard) == own["size_count"][i]
            assert got("kill_size_bytes_sum", **shard) == own["size_eighths"][i] / 8
            assert got("kill_level", **shard) == own["level_eighths"][i] / 8
        assert got("kill_done_total") == own["events"]
        assert got("kill_amount_count") == own["events"]
        assert got("kill_amount_sum") == own["event_eighths"] / 8
        assert got("kill_last_total") == own["last_ops"]
