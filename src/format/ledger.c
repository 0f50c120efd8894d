#include "format/ledger.h"

#include "store/read.h"

static const char *const names[OWN_MAX] = {
#define X(sym, name, kind, type, unit, label, help) name,
    OWN_TABLE(X)
#undef X
};

/* What the labels of an own series say. */
struct place {
    unsigned domain; /* DOMAINS_MAX: none */
    struct str reason;
};

static struct place place_of(struct str labels)
{
    const struct str domain = labels_get(labels, STR("domain"));
    struct place p = {DOMAINS_MAX, labels_get(labels, STR("reason"))};
    if (domain.n == 0 || domain.n > 3)
        return p;
    p.domain = 0;
    for (size_t i = 0; i < domain.n; i++)
        p.domain = p.domain * 10 + (unsigned)(domain.p[i] - '0');
    if (p.domain > DOMAINS_MAX)
        p.domain = DOMAINS_MAX;
    return p;
}

static int index_of(struct str word, const char *(*name)(unsigned), unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(word, str_of(name(i))))
            return (int)i;
    return -1;
}

static void add_account(struct account *a, enum own_metric m, const struct place *p, uint64_t v)
{
    const int reason = m == OWN_DROPPED ? index_of(p->reason, drop_name, DROP_MAX) : -1;
    if (m == OWN_RECEIVED)
        a->received += v;
    else if (m == OWN_APPLIED)
        a->applied += v;
    else if (m == OWN_DUPLICATES)
        a->duplicates += v;
    else if (m == OWN_CONNECTIONS)
        a->connections += v;
    else if (reason >= 0)
        a->dropped[reason] += v;
}

static void enter(struct ledger *out, enum own_metric m, const struct place *p, uint64_t v)
{
    const int lost = m == OWN_PRODUCER_LOST ? index_of(p->reason, lost_name, LOST_MAX) : -1;
    if (lost >= 0)
        out->lost[lost] += v;
    else if (m == OWN_STARTS)
        out->starts += v;
    else if (m == OWN_ROLLBACKS)
        out->rollbacks += v;
    else if (m == OWN_SERIES_EXPIRED)
        out->expired += v;
    else
        add_account(&out->all, m, p, v);
    if (p->domain >= DOMAINS_MAX)
        return;
    out->used[p->domain] = true;
    add_account(&out->domains[p->domain], m, p, v);
}

/* Walks the series of one own metric. */
static void read_metric(const struct store *st, enum own_metric which, struct ledger *out)
{
    struct metric_view m;
    struct series_view s;
    struct sample sample;
    uint64_t left = st->head->table[TABLE_SERIES].used;
    if (!metric_find(st, str_of(names[which]), &m))
        return;
    for (uint32_t i = m.first; i && left-- && series_read(st, i, &s); i = s.next) {
        const struct place p = place_of(s.labels);
        series_sample(st, &m, &s, &sample);
        enter(out, which, &p, sample.u);
    }
}

void ledger_read(const struct store *st, struct ledger *out)
{
    static const enum own_metric read[] = {
        OWN_RECEIVED,      OWN_APPLIED, OWN_DROPPED,   OWN_DUPLICATES,     OWN_CONNECTIONS,
        OWN_PRODUCER_LOST, OWN_STARTS,  OWN_ROLLBACKS, OWN_SERIES_EXPIRED,
    };
    *out = (struct ledger){0};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        read_metric(st, read[i], out);
}

/* ---- as JSON ---- */

static void put_sums(struct json_writer *j, const struct account *a)
{
    json_put_u64(j, "received", a->received);
    json_put_u64(j, "applied", a->applied);
    json_put_object(j, "dropped");
    for (unsigned i = 0; i < DROP_MAX; i++)
        json_put_u64(j, drop_name(i), a->dropped[i]);
    json_end_object(j);
    json_put_u64(j, "duplicates", a->duplicates);
}

void ledger_put_account(struct json_writer *j, const char *key, const struct account *a)
{
    json_put_object(j, key);
    put_sums(j, a);
    json_end_object(j);
}

void ledger_put_domains(struct json_writer *j, const char *key, const struct store *st,
                        const struct ledger *l)
{
    json_put_array(j, key);
    for (unsigned d = 0; d < DOMAINS_MAX; d++) {
        if (!l->used[d])
            continue;
        json_put_object(j, NULL);
        json_put_u64(j, "domain", d);
        json_put_u64(j, "connections", l->domains[d].connections);
        json_put_text(j, "breaker", domain_state_name(domain_state(st, d)));
        json_put_bool(j, "drained", domain_drained(st, d));
        json_put_bool(j, "set_aside", domain_aside(st, d));
        put_sums(j, &l->domains[d]);
        json_end_object(j);
    }
    json_end_array(j);
}

void ledger_put_lost(struct json_writer *j, const char *key, const struct ledger *l)
{
    json_put_object(j, key);
    for (unsigned i = 0; i < LOST_MAX; i++)
        json_put_u64(j, lost_name(i), l->lost[i]);
    json_end_object(j);
}

static void put_consumer(struct json_writer *j, const struct store *st, unsigned i,
                         enum store_ring_id ring)
{
    static const char *const rings[RING_MAX] = {"events", "spans", "points"};
    struct consumer_view c;
    consumer_read(st, ring, (enum store_consumer)i, &c);
    json_put_object(j, NULL);
    json_put_str(j, "consumer", consumer_name(st, i));
    json_put_text(j, "ring", rings[ring]);
    json_put_u64(j, "appended", c.appended);
    json_put_u64(j, "read", c.read);
    json_put_u64(j, "overrun", c.overrun);
    json_put_u64(j, "waiting", c.waiting);
    json_put_u64(j, "delivered", c.delivered);
    json_put_u64(j, "filtered", c.filtered);
    json_put_u64(j, "failed", c.failed);
    json_put_u64(j, "in_flight", c.in_flight);
    json_end_object(j);
}

void ledger_put_consumers(struct json_writer *j, const char *key, const struct store *st)
{
    json_put_array(j, key);
    for (unsigned i = 0; i < CONSUMER_MAX; i++)
        for (int ring = 0; ring < RING_MAX; ring++)
            if (consumer_reads(st, i, (enum store_ring_id)ring))
                put_consumer(j, st, i, (enum store_ring_id)ring);
    json_end_array(j);
}
