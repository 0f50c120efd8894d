/* fake_daemon: the daemon's side of the protocol for tests of producers. It has
 * wire/ in common with the daemon and nothing else: sessions in an array, sums in
 * an array. No I/O. Aborts on what a producer must never do; Check's own assertions
 * are not for threads. */
#ifndef MCPTALLY_TESTS_FAKE_DAEMON_H
#define MCPTALLY_TESTS_FAKE_DAEMON_H

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/encode.h"
#include "wire/frame.h"

enum { FAKE_SESSIONS = 64, FAKE_SERIES = 64, FAKE_IDS = 256, FAKE_KINDS = 16 };

struct fake_session {
    uint8_t id[16];
    uint64_t applied;
    bool gone; /* it said BYE */
    struct lost lost;
};

struct fake_series {
    char name[160]; /* metric{key=value,...} */
    enum metric_kind kind;
    enum value_type type;
    uint64_t updates;
    uint64_t sum_u64;
    double sum_f64; /* of a gauge: the last value */
};

struct fake_daemon {
    uint64_t store_id;
    struct fake_session sessions[FAKE_SESSIONS];
    unsigned nsessions;
    struct fake_series series[FAKE_SERIES];
    unsigned nseries;
    uint64_t items[FAKE_KINDS]; /* applied, by kind */
    uint64_t applied, duplicates, dropped, links;
    unsigned bells;
    char service[LIMIT_SERVICE + 1], instance[LIMIT_SERVICE + 1];
    uint32_t refuse_id;            /* updates of this series id are dropped; 0: none */
    uint64_t die_after;            /* items until it dies between two items of a frame; 0: never */
    unsigned close_with;           /* a HELLO is answered with this REJECT; 0: with WELCOME */
    struct event last[FAKE_KINDS]; /* its texts point into last_body */
    char last_body[FAKE_KINDS][LIMIT_ITEM];
};

struct fake_link {
    struct fake_daemon *d;
    struct fake_session *session; /* NULL before HELLO */
    struct frame_reader reader;
    struct metric_def metrics[FAKE_IDS];
    char names[FAKE_IDS][64];
    struct fake_series *series[FAKE_IDS];
    bool wants_ack;
    uint64_t acked;
    struct buf out;
};

static inline void fake_link_init(struct fake_link *l, struct fake_daemon *d)
{
    memset(l, 0, sizeof *l);
    l->d = d;
    d->links++;
    frame_reader_init(&l->reader);
    buf_init(&l->out, 1 << 22);
}

static inline void fake_link_fini(struct fake_link *l)
{
    frame_reader_fini(&l->reader);
    buf_fini(&l->out);
}

static inline struct fake_session *fake_session(struct fake_daemon *d, const uint8_t id[16])
{
    for (unsigned i = 0; i < d->nsessions; i++)
        if (memcmp(d->sessions[i].id, id, 16) == 0)
            return &d->sessions[i];
    return NULL;
}

/* A series by its name, as in "calls{tool=echo}"; NULL when nothing defined it. */
static inline struct fake_series *fake_find(struct fake_daemon *d, const char *name)
{
    for (unsigned i = 0; i < d->nseries; i++)
        if (strcmp(d->series[i].name, name) == 0)
            return &d->series[i];
    return NULL;
}

static inline void fake_text(char *to, size_t size, struct str s)
{
    snprintf(to, size, "%.*s", STR_ARG(s));
}

static inline int fake_close(struct fake_link *l, unsigned reason)
{
    const struct reject r = {.reason = (uint16_t)reason};
    encode_reject(&l->out, &r);
    return -1;
}

static inline int fake_hello(struct fake_link *l, const struct frame *f)
{
    struct fake_daemon *d = l->d;
    struct hello h;
    assert(decode_hello(f->payload, f->size, &h) == 0);
    if (d->close_with)
        return fake_close(l, d->close_with);
    struct welcome w = {PROTO_VERSION, SESSION_KNOWN, d->store_id, 0, LIMIT_FRAME, FAKE_IDS, 0};
    l->session = fake_session(d, h.session);
    if (!l->session) {
        assert(d->nsessions < FAKE_SESSIONS);
        l->session = &d->sessions[d->nsessions++];
        memset(l->session, 0, sizeof *l->session);
        memcpy(l->session->id, h.session, 16);
        w.known = h.store_id == d->store_id ? SESSION_EXPIRED : SESSION_NEW;
        l->session->applied = (w.known == SESSION_EXPIRED ? h.next : h.first) - 1;
    }
    fake_text(d->service, sizeof d->service, h.service);
    fake_text(d->instance, sizeof d->instance, h.instance);
    l->wants_ack = h.capabilities & HELLO_WANTS_ACK;
    w.applied = l->acked = l->session->applied;
    encode_welcome(&l->out, &w);
    return 0;
}

static inline void fake_define_metric(struct fake_link *l, const struct frame *f)
{
    uint32_t id;
    struct metric_def def;
    assert(decode_metric(f->payload, f->size, &id, &def) == 0);
    assert(id < FAKE_IDS);
    fake_text(l->names[id], sizeof l->names[id], def.name);
    l->metrics[id] = def;
}

static inline void fake_define_series(struct fake_link *l, const struct frame *f)
{
    struct fake_daemon *d = l->d;
    struct series_def def;
    char name[160], *at = name;
    assert(decode_series(f->payload, f->size, &def) == 0);
    assert(def.id < FAKE_IDS);
    assert(def.metric_id < FAKE_IDS);
    assert(l->names[def.metric_id][0] != '\0');
    at += snprintf(at, 64, "%s", l->names[def.metric_id]);
    for (unsigned i = 0; i < def.nlabels; i++)
        at += snprintf(at, (size_t)(name + sizeof name - at), "%c%.*s=%.*s", i ? ',' : '{',
                       STR_ARG(def.labels[i].key), STR_ARG(def.labels[i].value));
    if (def.nlabels > 0)
        snprintf(at, (size_t)(name + sizeof name - at), "}");
    struct fake_series *s = fake_find(d, name);
    if (!s) {
        assert(d->nseries < FAKE_SERIES);
        s = &d->series[d->nseries++];
        memset(s, 0, sizeof *s);
        memcpy(s->name, name, sizeof name);
        s->kind = l->metrics[def.metric_id].kind;
        s->type = l->metrics[def.metric_id].type;
    }
    l->series[def.id] = s;
}

/* Drops or applies one update; false when it was dropped. */
static inline bool fake_update(struct fake_link *l, uint32_t id, uint64_t bits)
{
    assert(id < FAKE_IDS);
    struct fake_series *s = l->series[id];
    assert(s != NULL); /* a definition comes before its use */
    if (id == l->d->refuse_id)
        return false;
    s->updates++;
    if (s->type == VALUE_U64)
        s->sum_u64 += bits;
    else if (s->kind == METRIC_GAUGE)
        s->sum_f64 = bits_f64(bits);
    else
        s->sum_f64 += bits_f64(bits);
    return true;
}

static inline void fake_item(struct fake_link *l, unsigned kind, const uint8_t *body, size_t n)
{
    struct fake_daemon *d = l->d;
    memcpy(d->last_body[kind], body, n);
    const uint8_t *copy = (const uint8_t *)d->last_body[kind];
    assert(decode_body((enum event_kind)kind, copy, n, &d->last[kind]) == 0);
    d->items[kind]++;
}

static inline int fake_batch(struct fake_link *l, const struct frame *f)
{
    struct batch b;
    struct fake_daemon *d = l->d;
    struct reject r = {.reason = DROP_RATE_LIMITED, .type = f->type};
    assert(decode_batch(f->type, f->payload, f->size, &b) == 0);
    if (b.first > l->session->applied + 1)
        return fake_close(l, REJECT_GAP);
    const uint8_t *p = b.items;
    size_t n = b.size;
    for (uint32_t i = 0; i < b.count; i++) {
        bool ok = true;
        const bool again = b.first + i <= l->session->applied;
        if (f->type == FRAME_UPDATE) {
            ok = again || fake_update(l, update_id(&b, i), update_value(&b, i));
        } else {
            assert(n >= 4);
            const uint32_t size = get_u32(p);
            assert(size <= n - 4);
            if (!again)
                fake_item(l, f->type, p + 4, size);
            p += 4 + size;
            n -= 4 + size;
        }
        if (again) {
            d->duplicates++;
            continue;
        }
        if (!ok && r.count++ == 0)
            r.first = b.first + i;
        d->applied += ok;
        d->dropped += !ok;
        l->session->applied = b.first + i;
        if (d->die_after > 0 && --d->die_after == 0)
            return -1;
    }
    if (f->type != FRAME_UPDATE)
        assert(n == 0);
    if (r.count > 0)
        encode_reject(&l->out, &r);
    return 0;
}

static inline int fake_frame(struct fake_link *l, const struct frame *f)
{
    if (f->type == FRAME_HELLO) {
        assert(l->session == NULL);
        return fake_hello(l, f);
    }
    assert(l->session != NULL);
    switch (f->type) {
    case FRAME_DEFINE_METRIC:
        fake_define_metric(l, f);
        return 0;
    case FRAME_DEFINE_SERIES:
        fake_define_series(l, f);
        return 0;
    case FRAME_LOST:
        assert(decode_lost(f->payload, f->size, &l->session->lost) == 0);
        return 0;
    case FRAME_BYE:
        assert(f->size == 0);
        l->session->gone = true;
        return -1;
    case FRAME_RING: /* it reads none, and says nothing to that */
        return 0;
    case FRAME_BELL:
        l->d->bells++;
        return 0;
    default:
        return fake_batch(l, f);
    }
}

/* Takes bytes; -1 when the connection is to be closed after `out` is written. */
static inline int fake_feed(struct fake_link *l, const uint8_t *p, size_t n)
{
    struct frame f;
    int got;
    while ((got = frame_reader_next(&l->reader, &p, &n, &f)) == 1)
        if (fake_frame(l, &f) < 0)
            return -1;
    assert(got == 0);
    return 0;
}

/* Appends an ACK when there is something new to acknowledge. */
static inline void fake_ack(struct fake_link *l)
{
    if (!l->session || !l->wants_ack || l->session->applied == l->acked)
        return;
    l->acked = l->session->applied;
    encode_ack(&l->out, l->acked);
}

#endif
