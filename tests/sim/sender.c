#include "sender.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "otlp/put.h"

enum { CUMULATIVE = 2, REQUEST_BYTES = 1 << 16, SCALED_BUCKETS = 4 };

void sender_init(struct sender *s, struct rng *rng, unsigned number)
{
    *s = (struct sender){.rng = rng, .number = number};
    buf_init(&s->bytes, REQUEST_BYTES);
}

void sender_fini(struct sender *s)
{
    otlp_request_free(s->request);
    buf_fini(&s->bytes);
}

void sender_family(const struct sender *s, const char *metric, char *to, size_t size)
{
    snprintf(to, size, "sim_sent_%s_%u", metric, s->number);
}

/* ---- what it counts ---- */

static void count(struct sender *s, struct machine *m)
{
    const uint32_t n = 1 + rng_below(s->rng, 20);
    if (s->start == 0)
        s->start = m->now.wall;
    s->v.count += n;
    s->v.cost += 0.5 * n;
    s->v.bucket[rng_below(s->rng, SENDER_BUCKETS)] += n;
    s->v.scaled += n;
    s->changed = true;
}

/* Another process takes its place. Nothing that it counted is unsent. */
static void begin_anew(struct sender *s, struct machine *m)
{
    struct sender_values *b = &s->before;
    if (s->changed || s->bytes.n > 0)
        return;
    b->count += s->v.count;
    b->cost += s->v.cost;
    b->scaled += s->v.scaled;
    for (unsigned i = 0; i < SENDER_BUCKETS; i++)
        b->bucket[i] += s->v.bucket[i];
    s->v = (struct sender_values){0};
    s->start = m->now.wall > s->start ? m->now.wall : s->start + 1;
}

/* ---- requests ---- */

struct open_metric {
    size_t metric, data, point;
};

static struct open_metric open_metric(struct sender *s, const char *name, enum otlp_data data)
{
    struct buf *to = &s->bytes;
    char family[64];
    struct open_metric o;
    sender_family(s, name, family, sizeof family);
    o.metric = put_open(to, 2);
    put_text(to, 1, str_of(family));
    o.data = put_open(to, data);
    put_uint(to, 2, CUMULATIVE);
    if (data == OTLP_SUM)
        put_uint(to, 3, 1);
    o.point = put_open(to, 1);
    put_fixed64(to, 2, s->start);
    put_fixed64(to, 3, s->time);
    s->items++;
    return o;
}

static void close_metric(struct sender *s, struct open_metric o)
{
    put_close(&s->bytes, o.point);
    put_close(&s->bytes, o.data);
    put_close(&s->bytes, o.metric);
}

static void put_metrics(struct sender *s)
{
    struct buf *to = &s->bytes;
    struct open_metric o = open_metric(s, "total", OTLP_SUM);
    put_fixed64_always(to, 6, s->v.count);
    close_metric(s, o);
    o = open_metric(s, "cost", OTLP_SUM);
    put_double(to, 4, s->v.cost);
    close_metric(s, o);
    o = open_metric(s, "size", OTLP_HISTOGRAM);
    put_fixed64(to, 4, s->v.bucket[0] + s->v.bucket[1] + s->v.bucket[2]);
    for (unsigned i = 0; i < SENDER_BUCKETS; i++)
        put_fixed64_always(to, 6, s->v.bucket[i]);
    for (unsigned i = 1; i < SENDER_BUCKETS; i++)
        put_double(to, 7, i);
    close_metric(s, o);
    o = open_metric(s, "scaled", OTLP_EXPONENTIAL);
    put_fixed64(to, 4, s->v.scaled);
    const size_t buckets = put_open(to, 8);
    for (unsigned i = 0; i < SCALED_BUCKETS; i++) {
        put_varint(to, 2 << 3);
        put_varint(to, s->v.scaled / SCALED_BUCKETS + (i < s->v.scaled % SCALED_BUCKETS));
    }
    put_close(to, buckets);
    close_metric(s, o);
}

static void put_spans(struct sender *s)
{
    struct buf *to = &s->bytes;
    for (unsigned n = 1 + rng_below(s->rng, 20); n > 0; n--, s->items++) {
        const size_t at = put_open(to, 2);
        uint8_t id[16];
        for (unsigned i = 0; i < sizeof id; i++)
            id[i] = (uint8_t)(1 + rng_below(s->rng, 255));
        put_bytes(to, 1, (struct str){(const char *)id, 16});
        put_bytes(to, 2, (struct str){(const char *)id, 8});
        put_text(to, 5, rng_chance(s->rng, 50) ? STR("sim.one") : STR("sim.two"));
        put_uint(to, 6, 1 + rng_below(s->rng, 5));
        put_fixed64(to, 7, s->time);
        put_fixed64(to, 8, s->time + rng_below(s->rng, 1000000));
        put_attr_text(to, 9, STR("mcp.method.name"), STR("tools/list"));
        put_close(to, at);
    }
}

static void put_logs(struct sender *s)
{
    for (unsigned n = 1 + rng_below(s->rng, 20); n > 0; n--, s->items++) {
        const size_t at = put_open(&s->bytes, 2);
        put_fixed64(&s->bytes, 1, s->time);
        put_uint(&s->bytes, 2, 9);
        put_close(&s->bytes, at);
    }
}

/* A request with what it has counted, spans, or logs. */
static void write_request(struct sender *s, struct machine *m)
{
    struct buf *to = &s->bytes;
    char service[16];
    snprintf(service, sizeof service, "sender-%u", s->number);
    s->signal = (enum otlp_signal)rng_below(s->rng, OTLP_SIGNALS);
    s->time = m->now.wall > s->time ? m->now.wall : s->time + 1;
    s->items = 0;
    const size_t around = put_open(to, 1), resource = put_open(to, 1);
    put_attr_text(to, 1, STR("service.name"), str_of(service));
    put_close(to, resource);
    const size_t scope = put_open(to, 2);
    if (s->signal == OTLP_METRICS)
        put_metrics(s);
    else if (s->signal == OTLP_TRACES)
        put_spans(s);
    else
        put_logs(s);
    put_close(to, scope);
    put_close(to, around);
    assert(!to->failed);
    if (s->signal == OTLP_METRICS)
        s->changed = false; /* unless more comes before the answer */
}

struct turn {
    struct sender *s;
    struct machine *m;
    uint32_t bytes;
};

static void finish(struct sender *s)
{
    struct otlp_result result;
    otlp_request_result(s->request, &result);
    const bool later = result.retry > 0;
    assert(later || (result.accepted + result.rejected == s->items && !result.unreadable));
    otlp_request_free(s->request);
    s->request = NULL;
    if (later)
        return; /* all of it again */
    s->answered[s->signal] += s->items;
    buf_reset(&s->bytes);
}

static void take_turn(void *arg)
{
    const struct turn *t = arg;
    if (!otlp_request_step(t->s->request, t->bytes, t->m->now))
        finish(t->s);
}

static bool hand_over(struct sender *s, struct machine *m)
{
    uint8_t *copy = malloc(s->bytes.n);
    assert(copy);
    memcpy(copy, s->bytes.p, s->bytes.n);
    s->request = otlp_request_new(&m->pl, s->signal, copy, s->bytes.n);
    s->attempted[s->signal] += s->items;
    s->kills = m->kills;
    return s->request != NULL;
}

/* A daemon that is gone has taken the request with it. */
static void notice_death(struct sender *s, const struct machine *m)
{
    if (!s->request || s->kills == m->kills)
        return;
    otlp_request_free(s->request);
    s->request = NULL;
}

void sender_step(struct sender *s, struct machine *m, uint32_t bytes)
{
    struct turn t = {s, m, bytes};
    notice_death(s, m);
    const uint32_t dice = rng_below(s->rng, 100);
    if (dice < 30)
        count(s, m);
    else if (dice < 33)
        begin_anew(s, m);
    if (s->start == 0 || !m->alive)
        return;
    if (s->bytes.n == 0)
        write_request(s, m);
    if (!s->request && !hand_over(s, m))
        return;
    const uint32_t famine = m->famine;
    m->famine = 0; /* a request that memory runs out for is told so, or sent again, by the edge */
    (void)machine_do(m, take_turn, &t);
    m->famine = famine;
    notice_death(s, m);
}

void sender_drain(struct sender *s, struct machine *m)
{
    notice_death(s, m);
    for (bool last = false; s->start && !last;) {
        struct turn t = {s, m, UINT32_MAX};
        last = s->bytes.n == 0;
        if (last) {
            do {
                buf_reset(&s->bytes);
                write_request(s, m);
            } while (s->signal != OTLP_METRICS);
        }
        if (!s->request)
            (void)hand_over(s, m);
        machine_do(m, take_turn, &t);
        assert(s->bytes.n == 0);
    }
}
