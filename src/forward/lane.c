#include "forward/lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "forward/lane_inside.h"
#include "model/text.h"
#include "otlp/record.h"

enum {
    AT_MOST = 16,   /* batches that one turn begins to send or settles */
    DONE_SHARE = 8, /* batches that are done behind one that is not, for each of the queue's */
    SCRATCH = LIMIT_RECORD * 2,
};
#define WAIT_NS (100 * NS_PER_MS) /* until an undecided trace is asked about again */

void lane_defaults(struct lane_options *o)
{
    *o = (struct lane_options){
        .batch_items = 512,
        .batch_bytes = 1 << 20,
        .batch_delay = NS_PER_S,
        .queue_batches = 64,
        .queue_bytes = 8 << 20,
        .concurrent = 4,
        .spool = true,
        .spool_after = 5 * NS_PER_S,
        .replay_rate = 20000,
        .pressed = 0.5,
        .breaker = {.failures = 5, .first = NS_PER_S, .most = 30 * NS_PER_S},
    };
}

/* An empty batch gets other bounds; when memory is out it keeps those that it has. */
static void resize(struct lane *l)
{
    struct otlp_batch fresh;
    if (otlp_batch_init(&fresh, l->signal, l->options.batch_items, l->options.batch_bytes) < 0)
        return;
    otlp_batch_fini(&l->request);
    l->request = fresh;
    l->resize = false;
}

bool lane_init(struct lane *l, struct store *st, struct own *own, unsigned slot,
               enum otlp_signal signal, enum store_ring_id ring, enum store_consumer consumer,
               const struct lane_options *o, const struct lane_io *io, const char *name)
{
    *l = (struct lane){
        .st = st,
        .own = own,
        .signal = signal,
        .index = own_lane_index(slot, signal),
        .options = *o,
        .io = *io,
        .ring = ring,
        .next_id = 1,
    };
    snprintf(l->name, sizeof l->name, "%s %s", name, otlp_signal_name(signal));
    if (ring != RING_MAX)
        follow_init(&l->follow, st, ring, consumer);
    l->closed = l->follow;
    bundles_init(&l->queue);
    buf_init(&l->scratch, SCRATCH);
    lane_spool_init(l);
    return otlp_batch_init(&l->request, signal, o->batch_items, o->batch_bytes) == 0;
}

void lane_fini(struct lane *l)
{
    bundles_fini(&l->queue);
    lane_spool_fini(l);
    otlp_batch_fini(&l->request);
    buf_fini(&l->scratch);
}

void lane_configure(struct lane *l, const struct lane_options *o)
{
    l->resize = o->batch_items != l->request.max_items || o->batch_bytes != l->request.max_bytes;
    l->options = *o;
    if (l->resize && !l->open_since)
        resize(l);
}

/* Requests. */
static unsigned requests_under_way(const struct lane *l)
{
    return bundles_count(&l->queue, BUNDLE_SENT) + bundles_count(&l->spool.replay, BUNDLE_SENT);
}

/* ---- settling ---- */

static void count(struct lane *l, enum own_outcome outcome, uint64_t n)
{
    if (n)
        own_add(l->own, OWN_EXPORT_ITEMS, l->index * OWN_OUTCOMES + outcome, n);
}

void lane_count(struct lane *l, const struct bundle *b)
{
    count(l, OWN_OUT_DELIVERED, b->delivered);
    count(l, OWN_OUT_SAMPLED, b->sampled);
    count(l, OWN_OUT_SKIPPED, b->skipped);
    count(l, OWN_OUT_UNREADABLE, b->unreadable);
    count(l, OWN_OUT_REFUSED, b->refused);
    count(l, OWN_OUT_REJECTED, b->rejected);
}

static void move_cursor(struct lane *l, const struct bundle *b)
{
    const struct follow_done done = {
        .position = b->position,
        .seq = b->ring_seq,
        .delivered = b->delivered + b->spooled,
        .filtered = b->sampled + b->skipped,
        .failed = b->refused + b->rejected + b->unreadable,
    };
    follow_settle(l->st, l->ring, l->follow.consumer, &done);
}

/* In order: what is done behind something that is not has to wait. */
void lane_settle(struct lane *l)
{
    for (struct bundle *b; (b = l->queue.head) && b->state == BUNDLE_DONE;) {
        lane_count(l, b);
        if (b->spooled) {
            own_add(l->own, OWN_EXPORT_SPOOLED, l->index, b->spooled);
            own_set(l->own, OWN_EXPORT_SPOOL_ITEMS, l->index,
                    own_get(l->own, OWN_EXPORT_SPOOL_ITEMS, l->index) + b->spooled);
        }
        if (b->source == BUNDLE_RING)
            move_cursor(l, b);
        else
            own_add(l->own, OWN_EXPORT_PUSHED, l->index, b->items);
        store_commit(l->st);
        bundles_pop(&l->queue);
    }
}

/* ---- reading ---- */

/* What is in it is read again. */
static void start_over(struct lane *l)
{
    otlp_batch_reset(&l->request);
    l->follow = l->closed;
    l->open = (struct bundle){0};
    l->open_since = 0;
}

/* When memory is out it stays open, and nothing more is read into it; soon it is tried again. */
static bool close_open(struct lane *l)
{
    struct str bytes = {0};
    size_t items = 0;
    if (otlp_batch_end(&l->request, &bytes, &items) < 0)
        return false;
    char *own = otlp_batch_steal(&l->request);
    struct bundle *b = bundles_take(&l->queue, BUNDLE_RING, own, bytes.n);
    if (!b) {
        free(own);
        start_over(l);
        l->waits = true;
        return false;
    }
    const struct bundle filled = l->open;
    b->id = l->next_id++;
    b->position = filled.position;
    b->ring_seq = filled.ring_seq;
    b->sampled = filled.sampled;
    b->skipped = filled.skipped;
    b->unreadable = filled.unreadable;
    b->items = (uint32_t)items;
    if (b->items == 0)
        bundle_set_state(b, BUNDLE_DONE);
    l->open = (struct bundle){0};
    l->open_since = 0;
    l->closed = l->follow;
    if (l->resize)
        resize(l);
    return true;
}

static bool is_full(const struct lane *l)
{
    return l->request.items >= l->options.batch_items || l->request.bytes >= l->options.batch_bytes;
}

static bool is_due(const struct lane *l, struct when now)
{
    return l->open_since &&
           (is_full(l) || l->flushing || now.mono - l->open_since >= l->options.batch_delay);
}

/* What is done and waits for those before it takes little, but no end of it may be had. */
bool lane_has_room(const struct lane *l)
{
    const unsigned done = bundles_count(&l->queue, BUNDLE_DONE);
    return l->queue.count - done < l->options.queue_batches &&
           done < DONE_SHARE * l->options.queue_batches &&
           l->queue.bytes + l->request.bytes < l->options.queue_bytes;
}

static bool is_span(unsigned kind)
{
    return kind == EVENT_SPAN || kind == RECORD_OTLP_SPAN;
}

/* Of an OTLP span no more is read than decides. */
static int read_span(struct lane *l, const struct ring_view *v)
{
    struct str resource, scope, span;
    unsigned n = 0;
    buf_reset(&l->scratch);
    if (v->kind != RECORD_OTLP_SPAN || !l->io.keys)
        return record_event(v->kind, v->body, &l->event, &l->scratch);
    if (otlp_part(v->body, &resource, &scope, &span) < 0)
        return -ERR_SYNTAX;
    const struct str *keys = l->io.keys(l->io.arg, &n);
    return otlp_span_head(span, keys, n, &l->event);
}

/* A span that cannot be read is kept: otlp_batch_add() says what is wrong with it. */
static void decide(struct lane *l, const struct ring_view *v, struct when now,
                   struct sample_decision *out)
{
    *out = (struct sample_decision){.verdict = SAMPLE_KEEP};
    if (!l->io.decide || !is_span(v->kind))
        return;
    if (read_span(l, v) < 0)
        return;
    const struct sample_span span = {
        .event = &l->event,
        .service = v->service,
        .domain = v->domain,
        .local_root = sampling_local_root(&l->event),
    };
    l->io.decide(l->io.arg, &span, v->received, l->pressed || l->flushing, now, out);
}

static struct str instance_of(const struct lane *l, const struct ring_view *v)
{
    struct session_view s;
    if (v->kind >= RECORD_OTLP_SPAN || !v->session || !session_read(l->st, v->session, &s))
        return (struct str){0};
    return s.instance;
}

/* False when memory is out, or there is no room for another batch. */
static bool add(struct lane *l, const struct ring_view *v, const struct sample_decision *decision)
{
    const struct otlp_batch_how how = {
        .instance = instance_of(l, v),
        .write = decision->write,
        .threshold = decision->threshold,
    };
    int r = otlp_batch_add(&l->request, v, &how);
    if (r == 0 && lane_has_room(l) && close_open(l))
        r = otlp_batch_add(&l->request, v, &how);
    if (r == -ERR_NOTFOUND)
        l->open.skipped++;
    else if (r == -ERR_SYNTAX)
        l->open.unreadable++;
    l->waits = r == -ERR_NOMEM;
    return r != 0 && r != -ERR_NOMEM;
}

/* Whether there was one, and its trace is decided. */
static bool read_one(struct lane *l, struct when now)
{
    struct follow ahead = l->follow;
    struct sample_decision decision;
    struct ring_view v;
    if (follow_next(&ahead, l->st, l->copy, sizeof l->copy, &v) <= 0)
        return false;
    decide(l, &v, now, &decision);
    l->waits = decision.verdict == SAMPLE_WAIT;
    if (l->waits)
        return false;
    if (decision.verdict == SAMPLE_LEAVE_OUT)
        l->open.sampled++;
    else if (!add(l, &v, &decision))
        return false;
    l->follow = ahead;
    l->open.position = ahead.position;
    l->open.ring_seq = ahead.seq;
    if (!l->open_since)
        l->open_since = now.mono;
    return true;
}

/* True when there may be more to read at once. */
static bool read_ring(struct lane *l, unsigned records, struct when now)
{
    l->waits = false;
    if (l->ring == RING_MAX)
        return false;
    for (; records > 0; records--) {
        l->pressed = follow_pressure(&l->follow, l->st) >= l->options.pressed;
        if (is_full(l) && lane_has_room(l))
            (void)close_open(l);
        if (is_full(l) || !lane_has_room(l) || !read_one(l, now))
            return false;
    }
    return true;
}

/* ---- sending ---- */

static struct bundle *next_to_send(struct lane *l, struct when now)
{
    struct bundle *b = lane_spool_next(l, now);
    if (!b && !bundles_first(&l->spool.replay, BUNDLE_READY) && lane_spool_lets_pass(l) &&
        !lane_spool_takes(l, now))
        b = lane_spool_before(l);
    return b;
}

static void send_one(struct lane *l, struct bundle *b, struct when now)
{
    bundle_set_state(b, BUNDLE_SENT);
    b->began = now.mono;
    l->sent_bytes += b->n;
    if (b->source == BUNDLE_SPOOL)
        l->spool.tokens -= b->items;
    l->io.send(l->io.arg, l->signal, b->id, (struct str){b->bytes, b->n});
}

static void send_ready(struct lane *l, struct when now)
{
    for (unsigned i = 0; i < AT_MOST; i++) {
        const unsigned under_way = requests_under_way(l);
        if (under_way >= l->options.concurrent || !l->io.ready(l->io.arg))
            return;
        struct bundle *b = next_to_send(l, now);
        if (!b || !breaker_may(&l->breaker, under_way, now.mono))
            return;
        send_one(l, b, now);
    }
}

static void note_error(struct lane *l, const struct outcome *o)
{
    const char *kind = o->grpc ? "gRPC status" : "HTTP status";
    const struct str why = text_cut(o->message, o->status ? 120 : 160);
    if (o->status)
        snprintf(l->error, sizeof l->error, "%s %u%s%.*s", kind, o->status, why.n ? ": " : "",
                 (int)why.n, why.n ? why.p : "");
    else
        snprintf(l->error, sizeof l->error, "%.*s", why.n ? (int)why.n : 64,
                 why.n ? why.p : "no connection");
    for (char *p = l->error; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

static void taken(struct lane *l, struct bundle *b, const struct outcome *o)
{
    b->rejected = o->rejected < b->items ? o->rejected : b->items;
    b->delivered = b->items - b->rejected;
    if (breaker_good(&l->breaker))
        log_info("export", "%s: requests are taken again", l->name);
    if (l->refusing && !o->rejected)
        log_info("export", "%s: requests are no longer refused", l->name);
    if (o->rejected && !l->rejecting) {
        note_error(l, o);
        log_warn("export", "%s: items are rejected: %s", l->name, l->error);
    }
    l->refusing = false;
    l->rejecting = o->rejected > 0;
    if (!l->rejecting)
        l->error[0] = '\0';
    if (l->spool.window < l->options.concurrent)
        l->spool.window++;
}

static void refused(struct lane *l, struct bundle *b, const struct outcome *o)
{
    b->refused = b->items;
    note_error(l, o);
    (void)breaker_good(&l->breaker); /* somebody is there */
    if (!l->refusing)
        log_warn("export", "%s: requests are refused for good: %s", l->name, l->error);
    l->refusing = true;
}

static void failed(struct lane *l, const struct bundle *b, const struct outcome *o, struct when now)
{
    l->retries++;
    l->spool.window = 1;
    note_error(l, o);
    if (!breaker_bad(&l->breaker, &l->options.breaker, b->began, o->after, l->io.random(l->io.arg),
                     now.mono))
        return;
    own_add(l->own, OWN_EXPORT_BREAKER_OPENED, l->index, 1);
    log_warn("export", "%s: requests fail, %s: %s", l->name,
             l->options.spool ? "the spool keeps them" : "the ring keeps them while it has room",
             l->error);
}

void lane_answer(struct lane *l, uint64_t id, const struct outcome *o, struct when now)
{
    static const enum own_answer answers[] = {
        [OUTCOME_OK] = OWN_ANSWER_OK,
        [OUTCOME_RETRY] = OWN_ANSWER_RETRY,
        [OUTCOME_REFUSED] = OWN_ANSWER_REFUSED,
    };
    struct bundles *q = &l->queue;
    struct bundle *b = bundles_find(q, id);
    if (!b)
        b = bundles_find(q = &l->spool.replay, id);
    if (!b || b->state != BUNDLE_SENT)
        return;
    own_add(l->own, OWN_EXPORT_REQUESTS, l->index * OWN_ANSWERS + answers[o->kind], 1);
    if (o->kind == OUTCOME_RETRY) {
        failed(l, b, o, now);
        bundle_set_state(b, BUNDLE_READY);
    } else {
        if (o->kind == OUTCOME_OK)
            taken(l, b, o);
        else
            refused(l, b, o);
        bundle_set_state(b, BUNDLE_DONE);
        bundles_drop_bytes(q, b);
    }
    store_commit(l->st);
    lane_settle(l);
    lane_spool_settle(l);
}

/* ---- a turn ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t wakes(const struct lane *l, struct when now)
{
    uint64_t at = UINT64_MAX;
    if (l->open_since && lane_has_room(l))
        at = sooner(at, l->open_since + l->options.batch_delay);
    if (l->waits)
        at = sooner(at, now.mono + WAIT_NS);
    if (l->breaker.until > now.mono)
        at = sooner(at, l->breaker.until);
    if (l->breaker.since && l->breaker.since + l->options.spool_after > now.mono)
        at = sooner(at, l->breaker.since + l->options.spool_after);
    return sooner(at, lane_spool_wakes(l, now));
}

uint64_t lane_turn(struct lane *l, unsigned records, struct when now)
{
    const bool more = read_ring(l, records, now);
    if (is_due(l, now) && lane_has_room(l))
        (void)close_open(l);
    lane_settle(l);
    lane_spool_turn(l, now);
    send_ready(l, now);
    store_commit(l->st);
    return more ? now.mono : wakes(l, now);
}

bool lane_push(struct lane *l, uint32_t items, struct str request, struct when now)
{
    (void)now;
    struct bundle *b = bundles_add(&l->queue, BUNDLE_PUSH, request);
    if (!b)
        return false;
    b->id = l->next_id++;
    b->items = items;
    return true;
}

void lane_flush(struct lane *l)
{
    l->flushing = true;
}

bool lane_idle(const struct lane *l)
{
    return !l->open_since && !l->queue.head && !l->spool.appending && requests_under_way(l) == 0;
}

static void retract(struct bundles *q)
{
    for (struct bundle *b; (b = bundles_first(q, BUNDLE_SENT));)
        bundle_set_state(b, BUNDLE_READY);
}

void lane_retract(struct lane *l)
{
    retract(&l->queue);
    retract(&l->spool.replay);
    l->breaker = (struct breaker){0}; /* the other side is another one */
}

const char *lane_trouble(const struct lane *l)
{
    if (l->spool.dropping)
        return "the spool drops what it has no room for";
    if (l->options.spool && l->spool.breakers[LANE_SPOOL_WRITES].state != BREAKER_CLOSED)
        return "the spool cannot be written";
    if (l->spool.breakers[LANE_SPOOL_READS].state != BREAKER_CLOSED)
        return "the spool cannot be read";
    if (l->spool.breakers[LANE_SPOOL_KEEPER].state != BREAKER_CLOSED)
        return "the spool cannot be reached";
    if (l->breaker.since)
        return l->spool.stats.records ? "requests fail, the spool keeps them" : "requests fail";
    if (l->refusing)
        return "requests are refused for good";
    return l->rejecting ? "items are rejected" : NULL;
}

void lane_report(struct lane *l, struct when now)
{
    uint64_t items = l->request.items;
    for (const struct bundle *b = l->queue.head; b; b = b->next)
        items += b->state == BUNDLE_DONE ? 0 : b->items;
    own_set(l->own, OWN_EXPORT_QUEUED, l->index, items);
    own_set(l->own, OWN_EXPORT_QUEUED_BYTES, l->index,
            l->queue.bytes + l->spool.replay.bytes + l->request.bytes);
    own_set(l->own, OWN_EXPORT_BREAKER, l->index, l->breaker.state);
    lane_spool_report(l, now);
    store_commit(l->st);
}
