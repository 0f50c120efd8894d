#include "format/census.h"

#include "base/hash.h"

/* The row of a service: found, made, or `others` when there are too many. */
static struct census_row *row_of(struct census *c, struct str service)
{
    unsigned slot = (unsigned)hash_bytes(service.p, service.n, 0) % CENSUS_SLOTS;
    for (; c->slots[slot]; slot = (slot + 1) % CENSUS_SLOTS)
        if (str_eq(c->rows[c->slots[slot] - 1].service, service))
            return &c->rows[c->slots[slot] - 1];
    if (c->n == CENSUS_SERVICES)
        return &c->others;
    c->rows[c->n].service = service;
    c->slots[slot] = (uint8_t)(c->n + 1);
    return &c->rows[c->n++];
}

static void count(struct census_row *row, bool connected)
{
    row->connected += connected;
    row->kept += !connected;
}

void census_take(const struct store *st, struct census *out)
{
    struct session_view s;
    *out = (struct census){.others.service = STR("(others)")};
    for (uint32_t i = 1; i < session_ids(st); i++) {
        if (!session_read(st, i, &s))
            continue;
        count(&out->all, s.connected);
        count(row_of(out, s.service), s.connected);
    }
}

static void put_row(struct json_writer *j, const struct census_row *row)
{
    json_put_object(j, NULL);
    json_put_str(j, "service", row->service);
    json_put_u64(j, "connected", row->connected);
    json_put_u64(j, "kept", row->kept);
    json_end_object(j);
}

void census_put(struct json_writer *j, const char *key, const struct census *c)
{
    json_put_object(j, key);
    json_put_u64(j, "connected", c->all.connected);
    json_put_u64(j, "kept", c->all.kept);
    json_put_array(j, "services");
    for (unsigned i = 0; i < c->n; i++)
        put_row(j, &c->rows[i]);
    if (c->others.connected || c->others.kept)
        put_row(j, &c->others);
    json_end_array(j);
    json_end_object(j);
}
