/* talk: the producer's side of the protocol as plainly as it can be written, for
 * programs that measure the daemon and not the library. */
#ifndef MCPTALLY_TESTS_TALK_H
#define MCPTALLY_TESTS_TALK_H

#include "bench.h"

#include "wire/encode.h"
#include "wire/frame.h"

struct talk {
    int fd;
    struct frame_reader reader;
    uint64_t next;    /* sequence number of the next item */
    uint64_t applied; /* as acknowledged */
    uint32_t max_ids; /* that this connection may define */
};

enum { TALK_DEFINITIONS = 256 << 20 }; /* bytes of them at most */

/* ---- definitions ---- */

/* The metric of number 1; a histogram has 14 buckets. */
static inline void talk_put_metric(struct buf *to, struct str name, enum metric_kind kind)
{
    static const double bounds[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300};
    struct metric_def metric = {
        .name = name, .kind = kind, .type = kind == METRIC_COUNTER ? VALUE_U64 : VALUE_F64};
    if (kind == METRIC_HISTOGRAM) {
        metric.nbounds = sizeof bounds / sizeof *bounds;
        memcpy(metric.bounds, bounds, sizeof bounds);
    }
    encode_metric(to, 1, &metric);
}

/* Its series 1 to n, which have a label when there are more than one. */
static inline void talk_put_series(struct buf *to, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        char text[16];
        const int length = snprintf(text, sizeof text, "%u", i);
        struct series_def s = {.id = i, .metric_id = 1, .nlabels = n > 1};
        s.labels[0] = (struct label){STR("shard"), {text, (size_t)length}};
        encode_series(to, &s);
    }
}

/* ---- the connection ---- */

/* Takes what has come; waits for something with `wait`. A REJECT ends it all. */
static inline void talk_listen(struct talk *t, bool wait)
{
    uint8_t in[4096];
    struct frame f;
    struct reject r;
    const ssize_t got = recv(t->fd, in, sizeof in, wait ? 0 : MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("the daemon closed the connection");
    const uint8_t *p = in;
    for (size_t n = (size_t)got; frame_reader_next(&t->reader, &p, &n, &f) > 0;) {
        struct welcome w;
        if (f.type == FRAME_ACK && decode_ack(f.payload, f.size, &t->applied) < 0)
            die("ACK");
        if (f.type == FRAME_WELCOME && decode_welcome(f.payload, f.size, &w) == 0)
            t->max_ids = w.max_ids;
        if (f.type == FRAME_REJECT && decode_reject(f.payload, f.size, &r) == 0) {
            fprintf(stderr, "bench: rejected: %s %.*s\n", reject_name(r.reason), STR_ARG(r.detail));
            exit(1);
        }
    }
}

/* Connects, greets and is welcomed. */
static inline void talk_begin(struct talk *t, const char *path, struct str service, uint64_t id)
{
    struct hello h = {
        .version = PROTO_VERSION,
        .capabilities = HELLO_WANTS_ACK,
        .first = 1,
        .next = 1,
        .service = service,
        .agent = STR("bench"),
    };
    struct buf out;
    *t = (struct talk){.fd = connect_to(path), .next = 1};
    frame_reader_init(&t->reader);
    memcpy(h.session, &id, sizeof id);
    memset(h.session + sizeof id, 0x5A, sizeof h.session - sizeof id);
    buf_init(&out, 4096);
    encode_hello(&out, &h);
    write_all(t->fd, out.p, out.n);
    buf_fini(&out);
    while (t->max_ids == 0)
        talk_listen(t, true);
}

/* Defines the metric and its series. */
static inline void talk_define(struct talk *t, struct str name, enum metric_kind kind, uint32_t n)
{
    struct buf out;
    buf_init(&out, TALK_DEFINITIONS);
    talk_put_metric(&out, name, kind);
    talk_put_series(&out, n);
    if (out.failed)
        die("definitions");
    write_all(t->fd, out.p, out.n);
    buf_fini(&out);
}

static inline void talk_flush(struct talk *t)
{
    while (t->applied < t->next - 1)
        talk_listen(t, true);
}

static inline void talk_end(struct talk *t)
{
    close(t->fd);
    frame_reader_fini(&t->reader);
}

#endif
