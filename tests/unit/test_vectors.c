/* tests/vectors/frames.txt against the decoders and encoders. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/frame.h"

enum { LINE = 16384, VECTORS = 200 };

struct vector {
    char name[128];
    uint8_t bytes[LINE / 2];
    size_t n;
    char means[1024];
    char error[64];
};

static struct vector vectors[VECTORS];
static int count;

/* ---- reading the file ---- */

static size_t unhex(const char *text, uint8_t *to)
{
    size_t n = 0;
    for (; text[0] && text[1]; text += 2) {
        const char two[3] = {text[0], text[1], '\0'};
        to[n++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static void take(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "frame ", 6) == 0) {
        ck_assert_int_lt(count, VECTORS);
        snprintf(vectors[count].name, sizeof vectors->name, "%.100s", line + 6);
        count++;
    }
    if (count == 0)
        return;
    struct vector *v = &vectors[count - 1];
    if (strncmp(line, "hex ", 4) == 0) {
        v->n = unhex(line + 4, v->bytes);
    } else if (strncmp(line, "means ", 6) == 0) {
        snprintf(v->means, sizeof v->means, "%.1000s", line + 6);
    } else if (strncmp(line, "error ", 6) == 0) {
        snprintf(v->error, sizeof v->error, "%.60s", line + 6);
    }
}

static void load(void)
{
    static char line[LINE];
    FILE *f = fopen("tests/vectors/frames.txt", "r");
    ck_assert_msg(f != NULL, "run from the top of the tree");
    count = 0;
    while (fgets(line, sizeof line, f))
        take(line);
    fclose(f);
}

/* ---- what a frame means, as text, and the frame made anew ---- */

struct view {
    struct buf means, again;
    int error; /* of the decoder, or of an item */
};

static void add_hex(struct buf *to, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "%02x", p[i]);
}

static void add_str(struct buf *to, const char *name, struct str s)
{
    buf_addf(to, " %s=%.*s", name, STR_ARG(s));
}

static void view_hello(struct view *v, const struct frame *f)
{
    struct hello h;
    if ((v->error = decode_hello(f->payload, f->size, &h)) < 0)
        return;
    buf_addf(&v->means, "hello version=%u capabilities=%u session=", h.version, h.capabilities);
    add_hex(&v->means, h.session, sizeof h.session);
    buf_addf(&v->means, " store=%llu first=%llu next=%llu", (unsigned long long)h.store_id,
             (unsigned long long)h.first, (unsigned long long)h.next);
    add_str(&v->means, "service", h.service);
    add_str(&v->means, "instance", h.instance);
    add_str(&v->means, "domain", h.domain);
    add_str(&v->means, "agent", h.agent);
    encode_hello(&v->again, &h);
}

static void view_welcome(struct view *v, const struct frame *f)
{
    struct welcome w;
    if ((v->error = decode_welcome(f->payload, f->size, &w)) < 0)
        return;
    buf_addf(&v->means,
             "welcome version=%u known=%u store=%llu applied=%llu max_frame=%u "
             "max_ids=%u",
             w.version, w.known, (unsigned long long)w.store_id, (unsigned long long)w.applied,
             w.max_frame, w.max_ids);
    if (w.max_rings)
        buf_addf(&v->means, " max_rings=%u", w.max_rings);
    encode_welcome(&v->again, &w);
}

static void view_metric(struct view *v, const struct frame *f)
{
    struct metric_def d;
    uint32_t id;
    if ((v->error = decode_metric(f->payload, f->size, &id, &d)) < 0)
        return;
    buf_addf(&v->means, "define_metric id=%u kind=%u type=%u join=%u flags=%u bounds=", id,
             (unsigned)d.kind, (unsigned)d.type, (unsigned)d.join, d.flags);
    for (unsigned i = 0; i < d.nbounds; i++)
        buf_addf(&v->means, "%s%g", i ? "," : "", d.bounds[i]);
    add_str(&v->means, "name", d.name);
    add_str(&v->means, "unit", d.unit);
    add_str(&v->means, "help", d.help);
    encode_metric(&v->again, id, &d);
}

static void view_series(struct view *v, const struct frame *f)
{
    struct series_def d;
    if ((v->error = decode_series(f->payload, f->size, &d)) < 0)
        return;
    buf_addf(&v->means, "define_series id=%u metric=%u", d.id, d.metric_id);
    for (unsigned i = 0; i < d.nlabels; i++)
        buf_addf(&v->means, " %.*s=%.*s", STR_ARG(d.labels[i].key), STR_ARG(d.labels[i].value));
    encode_series(&v->again, &d);
}

static void view_ack(struct view *v, const struct frame *f)
{
    uint64_t applied;
    if ((v->error = decode_ack(f->payload, f->size, &applied)) < 0)
        return;
    buf_addf(&v->means, "ack %llu", (unsigned long long)applied);
    encode_ack(&v->again, applied);
}

static void view_reject(struct view *v, const struct frame *f)
{
    struct reject r;
    if ((v->error = decode_reject(f->payload, f->size, &r)) < 0)
        return;
    buf_addf(&v->means, "reject first=%llu count=%u id=%u reason=%s type=%s",
             (unsigned long long)r.first, r.count, r.id, reject_name(r.reason),
             frame_type_name(r.type));
    add_str(&v->means, "detail", r.detail);
    encode_reject(&v->again, &r);
}

static void view_lost(struct view *v, const struct frame *f)
{
    struct lost l;
    if ((v->error = decode_lost(f->payload, f->size, &l)) < 0)
        return;
    buf_adds(&v->means, "lost");
    for (unsigned i = 0; i < LOST_MAX; i++)
        buf_addf(&v->means, " %s=%llu", lost_name(i), (unsigned long long)l.total[i]);
    encode_lost(&v->again, &l);
}

/* ---- items ---- */

static void add_attrs(struct buf *to, const struct event *e, unsigned first, unsigned n)
{
    for (const struct attr *a = e->attrs + first; n > 0; a++, n--) {
        buf_addf(to, " %.*s=", STR_ARG(a->key));
        if (a->type == ATTR_STRING)
            buf_addstr(to, a->s);
        else if (a->type == ATTR_BOOL)
            buf_adds(to, a->i ? "true" : "false");
        else if (a->type == ATTR_I64)
            buf_addf(to, "%lld", (long long)a->i);
        else
            buf_addd(to, a->d);
    }
}

static void add_trace(struct buf *to, const struct trace_ref *t)
{
    static const struct trace_ref none;
    if (memcmp(t, &none, sizeof none) == 0)
        return;
    buf_adds(to, " trace=");
    add_hex(to, t->trace_id, sizeof t->trace_id);
    buf_adds(to, " span=");
    add_hex(to, t->span_id, sizeof t->span_id);
}

static void add_span(struct buf *to, const struct event *e)
{
    buf_addf(to, " end=%llu parent=", (unsigned long long)e->end);
    add_hex(to, e->parent_id, sizeof e->parent_id);
    buf_addf(to, " kind=%u status=%u flags=%u", (unsigned)e->span_kind, (unsigned)e->status,
             e->span_flags);
    add_str(to, "text", e->text);
    add_str(to, "tracestate", e->tracestate);
    add_attrs(to, e, 0, e->nattrs);
    for (unsigned i = 0; i < e->nevents; i++) {
        buf_addf(to, " event:%llu:%.*s", (unsigned long long)e->events[i].time,
                 STR_ARG(e->events[i].name));
        add_attrs(to, e, e->events[i].first_attr, e->events[i].nattrs);
    }
    for (unsigned i = 0; i < e->nlinks; i++) {
        buf_adds(to, " link:");
        add_hex(to, e->links[i].to.trace_id, 16);
        buf_addc(to, ':');
        add_hex(to, e->links[i].to.span_id, 8);
    }
}

static void add_item(struct buf *to, const struct event *e)
{
    buf_addf(to, " [time=%llu", (unsigned long long)e->time);
    add_trace(to, &e->trace);
    if (e->correlation.n)
        add_str(to, "correlation", e->correlation);
    if (e->name.n)
        add_str(to, "name", e->name);
    if (e->kind == EVENT_SPAN) {
        add_span(to, e);
    } else {
        if (e->kind == EVENT_LOG)
            buf_addf(to, " severity=%u", e->severity);
        if (e->kind == EVENT_HEALTH)
            buf_addf(to, " state=%u", (unsigned)e->state);
        if (e->kind != EVENT_NAMED)
            add_str(to, "text", e->text);
        for (unsigned i = 0; e->kind == EVENT_NAMED && i < e->nmeasures; i++)
            buf_addf(to, " %.*s:%g", STR_ARG(e->measures[i].key), e->measures[i].value);
        add_attrs(to, e, 0, e->nattrs);
    }
    buf_addc(to, ']');
}

static void view_batch(struct view *v, const struct frame *f)
{
    static struct event e;
    struct batch b;
    if ((v->error = decode_batch(f->type, f->payload, f->size, &b)) < 0)
        return;
    buf_addf(&v->means, "%s first=%llu", frame_type_name(f->type), (unsigned long long)b.first);
    const size_t at = encode_batch(&v->again, f->type, b.first);
    const uint8_t *p = b.items;
    size_t n = b.size;
    for (uint32_t i = 0; i < b.count; i++) {
        if (f->type == FRAME_UPDATE) {
            buf_addf(&v->means, " %u:%llu", update_id(&b, i),
                     (unsigned long long)update_value(&b, i));
            encode_update(&v->again, update_id(&b, i), update_value(&b, i));
            continue;
        }
        const int r = decode_item((enum event_kind)f->type, &p, &n, &e);
        if (r < 0) {
            v->error = r;
            return;
        }
        add_item(&v->means, &e);
        encode_item(&v->again, &e);
    }
    encode_batch_end(&v->again, at, b.count);
}

static void view_ring(struct view *v, const struct frame *f)
{
    struct ring_offer r;
    if ((v->error = decode_ring(f->payload, f->size, &r)) < 0)
        return;
    buf_addf(&v->means, "ring stream=%u words=%u position=%llu", r.stream, r.words,
             (unsigned long long)r.position);
    encode_ring(&v->again, &r);
}

static void view_ring_ready(struct view *v, const struct frame *f)
{
    struct ring_ready r;
    if ((v->error = decode_ring_ready(f->payload, f->size, &r)) < 0)
        return;
    buf_addf(&v->means, "ring_ready stream=%u reason=%u position=%llu items=%llu slot=%u", r.stream,
             r.reason, (unsigned long long)r.position, (unsigned long long)r.items, r.slot);
    encode_ring_ready(&v->again, &r);
}

static void view_bell(struct view *v, const struct frame *f)
{
    uint64_t token;
    if ((v->error = decode_bell(f->payload, f->size, &token)) < 0)
        return;
    buf_addf(&v->means, "bell token=%llu", (unsigned long long)token);
    encode_bell(&v->again, token);
}

static void view_frame(struct view *v, const struct frame *f)
{
    switch (f->type) {
    case FRAME_HELLO:
        view_hello(v, f);
        break;
    case FRAME_WELCOME:
        view_welcome(v, f);
        break;
    case FRAME_DEFINE_METRIC:
        view_metric(v, f);
        break;
    case FRAME_DEFINE_SERIES:
        view_series(v, f);
        break;
    case FRAME_ACK:
        view_ack(v, f);
        break;
    case FRAME_REJECT:
        view_reject(v, f);
        break;
    case FRAME_LOST:
        view_lost(v, f);
        break;
    case FRAME_RING:
        view_ring(v, f);
        break;
    case FRAME_RING_READY:
        view_ring_ready(v, f);
        break;
    case FRAME_BELL:
        view_bell(v, f);
        break;
    case FRAME_BYE:
        if ((v->error = decode_bye(f->payload, f->size)) < 0)
            break;
        buf_adds(&v->means, "bye");
        encode_bye(&v->again);
        break;
    default:
        view_batch(v, f);
        break;
    }
}

/* ---- tests ---- */

static const char *error_word(int got, const struct view *v)
{
    if (got < 0)
        return reject_name((unsigned)-got);
    return v->error < 0 ? drop_name(drop_of_error(v->error)) : "";
}

static void check(const struct vector *want)
{
    struct frame_reader reader;
    struct frame f;
    struct view v = {.error = 0};
    const uint8_t *p = want->bytes;
    size_t n = want->n;
    buf_init(&v.means, LINE);
    buf_init(&v.again, LINE);
    frame_reader_init(&reader);
    const int got = frame_reader_next(&reader, &p, &n, &f);
    ck_assert_msg(got != 0, "%s: not a whole frame", want->name);
    if (got == 1)
        view_frame(&v, &f);
    ck_assert_msg(strcmp(error_word(got, &v), want->error) == 0, "%s: error '%s', expected '%s'",
                  want->name, error_word(got, &v), want->error);
    if (!want->error[0]) {
        ck_assert_msg(str_eq(buf_str(&v.means), str_of(want->means)), "%s: means %.*s", want->name,
                      STR_ARG(buf_str(&v.means)));
        ck_assert_msg(v.again.n == want->n && memcmp(v.again.p, want->bytes, want->n) == 0,
                      "%s: encoded otherwise", want->name);
    }
    frame_reader_fini(&reader);
    buf_fini(&v.means);
    buf_fini(&v.again);
}

START_TEST(every_vector_holds)
{
    load();
    ck_assert_int_gt(count, 130);
    for (int i = 0; i < count; i++)
        check(&vectors[i]);
}
END_TEST

/* Every frame type that there is has an example. */
START_TEST(every_frame_has_a_vector)
{
    bool seen[256] = {false};
    load();
    for (int i = 0; i < count; i++)
        if (!vectors[i].error[0])
            seen[vectors[i].bytes[4]] = true;
#define X(sym, num, word, seq, help) ck_assert_msg(seen[num], "no vector for %s", word);
    FRAME_TABLE(X)
#undef X
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vectors");
    TCase *t = tcase_create("vectors");
    tcase_add_test(t, every_vector_holds);
    tcase_add_test(t, every_frame_has_a_vector);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
