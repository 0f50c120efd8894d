#include "daemon/forwarding.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/log.h"
#include "daemon/alarm.h"
#include "daemon/options.h"
#include "export/transport.h"
#include "format/otlp_series.h"
#include "model/text.h"

enum {
    RECORDS = 256, /* of a ring that one callback reads */
    NAME_MAX_SPOOL = 64,
    STATUS_TEXT = 192,
};
#define WAKE_NS (20 * NS_PER_MS) /* from news to reading them, so that much comes at once */

enum { MAGIC_LINE = 0x1e9a11e5, MAGIC_DESTINATION = 0xde57 };

enum ask_kind { ASK_OPEN, ASK_APPEND, ASK_READ, ASK_FINISH, ASKS };

/* A question to the helper; each lane has at most one of a kind. */
struct ask {
    struct line *line;
    enum ask_kind kind;
    struct helper_call *call; /* NULL: none is open */
    bool failed;              /* it could not be asked, which the lane is told in the next turn */
};

/* A lane and what it needs of the world. */
struct line {
    unsigned magic;
    struct destination *destination;
    struct lane lane;
    struct ask asks[ASKS];
    char spool[NAME_MAX_SPOOL];
    uint64_t due;  /* mono ns of its next turn */
    uint64_t head; /* of the ring, when last looked at */
};

/* Our metrics on their way into a lane that follows no ring. What a delta is
 * counted from is advanced as a pass goes on; its requests are then sent until they are
 * taken. A crash loses those that were in memory, and counts nothing twice. */
struct push {
    bool running;
    uint64_t next; /* mono ns of the next pass */
    bool delta;
    struct otlp_sent sent; /* delta only */
    struct otlp_series series;
    struct otlp_batch batch;
};

struct destination {
    unsigned magic;
    struct forwarding *forwarding;
    unsigned slot;
    char name[OWN_NAME];
    uint64_t identity; /* hash of what the transport was made with */
    struct transport *transport;
    struct spool_options spool;
    struct line *lines[OTLP_SIGNALS]; /* NULL: the signal is not sent */
    struct push *push;                /* NULL: none */
};

struct forwarding {
    struct forwarding_env env;
    struct destination *all[OWN_DESTINATIONS];
    uint64_t push_interval; /* ns */
    char service[LIMIT_SERVICE + 1], instance[LIMIT_SERVICE + 1];
    struct alarm wake;
    unsigned at;          /* line whose turn it is, over all destinations */
    uint32_t made;        /* lines, ever */
    uint64_t drain_began; /* mono ns; 0: not yet */
    void (*drained)(void *arg);
    void *drained_arg;
};

/* ---- turns ---- */

/* All of a destination: they share what they wait for. */
static void soon(struct destination *d, uint64_t now)
{
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        if (d->lines[s])
            d->lines[s]->due = 0;
    alarm_by(&d->forwarding->wake, now, now);
}

/* ---- our metrics ---- */

static void push_free(struct push *p)
{
    if (!p)
        return;
    if (p->delta)
        otlp_sent_fini(&p->sent);
    otlp_series_fini(&p->series);
    otlp_batch_fini(&p->batch);
    free(p);
}

static struct push *push_new(const struct pipeline *pl, bool delta, const struct lane_options *o,
                             struct when now)
{
    struct push *p = calloc(1, sizeof *p);
    if (!p || otlp_batch_init(&p->batch, OTLP_METRICS, o->batch_items, o->batch_bytes) < 0) {
        free(p);
        return NULL;
    }
    otlp_series_init(&p->series, pl->st);
    p->series.exemplars = &pl->exemplars;
    p->delta = delta;
    if (delta)
        otlp_sent_init(&p->sent, now.wall);
    return p;
}

static void push_begin(struct destination *d, struct when now)
{
    const struct forwarding *f = d->forwarding;
    struct push *p = d->push;
    otlp_series_begin(&p->series, p->delta ? &p->sent : NULL, str_of(f->service),
                      str_of(f->instance), now);
    p->running = true;
    p->next = now.mono + f->push_interval;
}

static bool push_batch(struct destination *d, struct when now)
{
    struct push *p = d->push;
    struct str request;
    size_t items;
    if (otlp_batch_end(&p->batch, &request, &items) < 0)
        return false;
    struct line *l = d->lines[OTLP_METRICS];
    const bool good = items == 0 || lane_push(&l->lane, (uint32_t)items, request, now);
    l->due = 0;
    return good;
}

/* A step of the pass; while its lane has no room, it waits. */
static void push_step(struct destination *d, struct when now)
{
    struct push *p = d->push;
    if (!lane_has_room(&d->lines[OTLP_METRICS]->lane))
        return;
    const enum otlp_series_state s = otlp_series_step(&p->series, &p->batch, RECORDS);
    if (s == OTLP_SERIES_MORE)
        return;
    if (!push_batch(d, now))
        log_warn("export", "%s: no memory for a push of metrics", d->name);
    p->running = s == OTLP_SERIES_FULL;
}

/* Mono ns when it wants to go on. */
static uint64_t push_turn(struct destination *d, struct when now)
{
    struct push *p = d->push;
    if (!p || !d->lines[OTLP_METRICS])
        return UINT64_MAX;
    if (!p->running && now.mono >= p->next)
        push_begin(d, now);
    if (p->running)
        push_step(d, now);
    if (!p->running)
        return p->next;
    return lane_has_room(&d->lines[OTLP_METRICS]->lane) ? now.mono : now.mono + NS_PER_S;
}

static uint64_t push_all(struct forwarding *f, struct when now)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < OWN_DESTINATIONS; i++) {
        const uint64_t at = f->all[i] ? push_turn(f->all[i], now) : UINT64_MAX;
        next = at < next ? at : next;
    }
    return next;
}

static struct line *line_at(const struct forwarding *f, unsigned i)
{
    const struct destination *d = f->all[i / OTLP_SIGNALS];
    return d ? d->lines[i % OTLP_SIGNALS] : NULL;
}

static void tell_failed(struct line *l, struct when now);

/* One lane's turn; they take turns. */
static void turn_next(struct forwarding *f, struct when now)
{
    for (unsigned i = 0; i < OWN_LANES; i++) {
        struct line *l = line_at(f, (f->at + i) % OWN_LANES);
        if (!l || l->due > now.mono)
            continue;
        f->at = (f->at + i + 1) % OWN_LANES;
        tell_failed(l, now);
        l->due = lane_turn(&l->lane, RECORDS, now);
        return;
    }
}

static bool is_drained(const struct forwarding *f)
{
    for (unsigned i = 0; i < OWN_LANES; i++) {
        const struct line *l = line_at(f, i);
        if (l && l->destination->push && l->lane.signal == OTLP_METRICS &&
            (l->destination->push->running || l->destination->push->next <= f->drain_began))
            return false;
        if (l && (!lane_idle(&l->lane) ||
                  (l->lane.ring != RING_MAX && follow_waiting(&l->lane.follow, l->lane.st))))
            return false;
    }
    return true;
}

static void check_drained(struct forwarding *f)
{
    void (*done)(void *arg) = f->drained;
    if (!done || !is_drained(f))
        return;
    f->drained = NULL;
    done(f->drained_arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct forwarding *f = arg;
    const struct when now = clock_now();
    uint64_t next;
    (void)fd;
    (void)what;
    alarm_fired(&f->wake);
    next = push_all(f, now);
    turn_next(f, now);
    for (unsigned i = 0; i < OWN_LANES; i++) {
        const struct line *l = line_at(f, i);
        if (l && l->due < next)
            next = l->due;
    }
    if (next != UINT64_MAX)
        alarm_by(&f->wake, next, now.mono);
    check_drained(f);
    f->env.spent(f->env.arg, clock_now().mono - now.mono);
}

void forwarding_wake(struct forwarding *f)
{
    uint64_t now = 0;
    for (unsigned i = 0; i < OWN_LANES; i++) {
        struct line *l = line_at(f, i);
        if (!l || l->lane.ring == RING_MAX || l->head == ring_head(l->lane.st, l->lane.ring))
            continue;
        if (!now)
            now = clock_now().mono;
        l->head = ring_head(l->lane.st, l->lane.ring);
        if (l->due > now + WAKE_NS)
            l->due = now + WAKE_NS;
        alarm_by(&f->wake, l->due, now);
    }
}

/* ---- what lanes ask for ---- */

/* It cannot fail so early after the start that it matters: then it is no jitter. */
static uint64_t random_u64(void)
{
    uint64_t r = 0;
    return getrandom(&r, sizeof r, GRND_NONBLOCK) == (ssize_t)sizeof r ? r : 0;
}

static struct line *line_of(void *arg)
{
    struct line *l = arg;
    assert(l->magic == MAGIC_LINE);
    return l;
}

static bool io_ready(void *arg)
{
    const struct destination *d = line_of(arg)->destination;
    return d->transport && transport_ready(d->transport);
}

/* Ids are of a lane; the transport is the destination's. */
static void io_send(void *arg, enum otlp_signal signal, uint64_t id, struct str request)
{
    transport_send(line_of(arg)->destination->transport, id * OTLP_SIGNALS + signal, signal,
                   request);
}

static void on_answer(void *arg, uint64_t id, const struct outcome *o)
{
    struct destination *d = arg;
    const struct when now = clock_now();
    assert(d->magic == MAGIC_DESTINATION);
    struct line *l = d->lines[id % OTLP_SIGNALS];
    if (l)
        lane_answer(&l->lane, id / OTLP_SIGNALS, o, now);
    soon(d, now.mono);
    check_drained(d->forwarding);
    d->forwarding->env.spent(d->forwarding->env.arg, clock_now().mono - now.mono);
}

static void tell(struct line *l, enum ask_kind kind, int error, const struct helper_spool_answer *a,
                 struct when now)
{
    static const struct helper_spool_answer nothing;
    if (!a)
        a = &nothing;
    if (error == -ERR_NOTFOUND && kind != ASK_OPEN) /* it is not open any more */
        error = -ERR_CLOSED;
    if (kind == ASK_OPEN)
        lane_spool_opened(&l->lane, error, &a->stats, now);
    else if (kind == ASK_APPEND)
        lane_spool_kept(&l->lane, error, &a->stats, now);
    else if (kind == ASK_READ)
        lane_spool_was_read(&l->lane, error, &a->record, &a->stats, now);
    else
        lane_spool_finished(&l->lane, error, &a->stats, now);
}

static void on_spool(void *arg, const struct helper_spool_answer *answer)
{
    struct ask *a = arg;
    struct line *l = line_of(a->line);
    const struct forwarding *f = l->destination->forwarding;
    const struct when now = clock_now();
    a->call = NULL;
    tell(l, a->kind, answer->error, answer, now);
    soon(l->destination, now.mono);
    f->env.spent(f->env.arg, clock_now().mono - now.mono);
}

/* Without memory for the question the lane hears of it in its next turn. */
static void asked(struct line *l, enum ask_kind kind, struct helper_call *call)
{
    l->asks[kind].call = call;
    l->asks[kind].failed = call == NULL;
}

static void tell_failed(struct line *l, struct when now)
{
    for (unsigned i = 0; i < ASKS; i++) {
        if (!l->asks[i].failed)
            continue;
        l->asks[i].failed = false;
        tell(l, (enum ask_kind)i, -ERR_NOMEM, NULL, now);
    }
}

static void io_open(void *arg, enum otlp_signal signal)
{
    struct line *l = line_of(arg);
    struct spool_options o = l->destination->spool;
    (void)signal;
    o.salt = random_u64();
    asked(l, ASK_OPEN,
          helper_spool_open(l->destination->forwarding->env.helper, l->spool, &o, on_spool,
                            &l->asks[ASK_OPEN]));
}

static void io_append(void *arg, enum otlp_signal signal, uint32_t items, struct str payload)
{
    struct line *l = line_of(arg);
    asked(l, ASK_APPEND,
          helper_spool_append(l->destination->forwarding->env.helper, l->spool, signal, items,
                              payload, on_spool, &l->asks[ASK_APPEND]));
}

static void io_read(void *arg, enum otlp_signal signal, uint64_t seq)
{
    struct line *l = line_of(arg);
    (void)signal;
    asked(l, ASK_READ,
          helper_spool_read(l->destination->forwarding->env.helper, l->spool, seq, on_spool,
                            &l->asks[ASK_READ]));
}

static void io_finish(void *arg, enum otlp_signal signal, uint64_t seq)
{
    struct line *l = line_of(arg);
    (void)signal;
    asked(l, ASK_FINISH,
          helper_spool_finish(l->destination->forwarding->env.helper, l->spool, seq, on_spool,
                              &l->asks[ASK_FINISH]));
}

static uint64_t io_random(void *arg)
{
    (void)arg;
    return random_u64();
}

static void io_decide(void *arg, const struct sample_span *span, uint64_t received, bool pressed,
                      struct when now, struct sample_decision *out)
{
    struct sampling *sampling = line_of(arg)->destination->forwarding->env.pl->sampling;
    if (sampling)
        sampling_decide(sampling, span, received, pressed, now, out);
}

static const struct str *io_keys(void *arg, unsigned *n)
{
    const struct sampling *sampling = line_of(arg)->destination->forwarding->env.pl->sampling;
    *n = 0;
    return sampling ? sampling_keys(sampling, n) : NULL;
}

/* ---- lines ---- */

static void line_free(struct line *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < ASKS; i++)
        if (l->asks[i].call)
            helper_forget(l->asks[i].call);
    lane_fini(&l->lane);
    free(l);
}

static enum store_ring_id ring_of(const struct config *c, unsigned signal)
{
    static const enum store_ring_id rings[OTLP_SIGNALS] = {
        [OTLP_TRACES] = RING_SPANS, [OTLP_METRICS] = RING_POINTS, [OTLP_LOGS] = RING_EVENTS};
    return signal == OTLP_METRICS && c->export_metrics != METRICS_FORWARD ? RING_MAX
                                                                          : rings[signal];
}

static struct line *line_new(struct destination *d, enum otlp_signal signal,
                             enum store_ring_id ring, enum store_consumer consumer,
                             const struct lane_options *o)
{
    struct forwarding *f = d->forwarding;
    struct line *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->magic = MAGIC_LINE;
    l->destination = d;
    for (unsigned i = 0; i < ASKS; i++)
        l->asks[i] = (struct ask){.line = l, .kind = (enum ask_kind)i};
    snprintf(l->spool, sizeof l->spool, "%s.%s", d->name, otlp_signal_name(signal));
    const struct lane_io io = {
        .arg = l,
        .ready = io_ready,
        .send = io_send,
        .spool_open = io_open,
        .spool_append = io_append,
        .spool_read = io_read,
        .spool_finish = io_finish,
        .random = io_random,
        .decide = io_decide,
        .keys = io_keys,
    };
    if (lane_init(&l->lane, f->env.pl->st, &f->env.pl->own, d->slot, signal, ring, consumer, o, &io,
                  d->name)) {
        /* The transport may still answer what another line of this signal has sent. */
        l->lane.next_id = (uint64_t)++f->made << 32;
        return l;
    }
    line_free(l);
    return NULL;
}

/* ---- destinations ---- */

/* Requests that the old transport had are sent again by the new one. */
static void replace_transport(struct destination *d, const struct config_destination *c)
{
    struct transport_options o;
    char why[256];
    options_transport(c, &o);
    struct transport *fresh = transport_new(d->forwarding->env.base, d->forwarding->env.helper, &o,
                                            on_answer, d, why, sizeof why);
    options_transport_fini(&o);
    if (!fresh) /* the old one may not know all signals: then there is none */
        log_error("export", "%s: %s", d->name, why);
    transport_free(d->transport);
    d->transport = fresh;
    d->identity = options_identity(c);
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        if (d->lines[s])
            lane_retract(&d->lines[s]->lane);
}

static bool wants(const struct config *c, const struct config_destination *e, unsigned signal)
{
    return e->signals & 1u << signal &&
           !(signal == OTLP_METRICS && c->export_metrics == METRICS_OFF);
}

static void set_lines(struct destination *d, const struct config *c,
                      const struct config_destination *e, enum store_consumer consumer)
{
    for (unsigned s = 0; s < OTLP_SIGNALS; s++) {
        const bool wanted = wants(c, e, s);
        const enum store_ring_id ring = ring_of(c, s);
        struct lane_options o;
        options_lane(c, e, &o);
        if (d->lines[s] && (!wanted || d->lines[s]->lane.ring != ring)) {
            line_free(d->lines[s]);
            d->lines[s] = NULL;
        }
        if (d->lines[s])
            lane_configure(&d->lines[s]->lane, &o);
        else if (wanted)
            d->lines[s] = line_new(d, (enum otlp_signal)s, ring, consumer, &o);
        if (wanted && !d->lines[s])
            log_error("export", "%s: memory is out", d->name);
    }
}

/* What deltas are counted from is kept as long as they are wanted. */
static void set_push(struct destination *d, const struct config *c,
                     const struct config_destination *e, struct when now)
{
    const bool delta = c->export_metrics == METRICS_DELTA;
    const bool wanted =
        d->lines[OTLP_METRICS] && (delta || c->export_metrics == METRICS_CUMULATIVE);
    if (d->push && (!wanted || d->push->delta != delta)) {
        push_free(d->push);
        d->push = NULL;
    }
    if (!wanted)
        return;
    if (!d->push) {
        struct lane_options o;
        options_lane(c, e, &o);
        d->push = push_new(d->forwarding->env.pl, delta, &o, now);
    }
    if (d->push)
        d->push->next = now.mono + d->forwarding->push_interval;
    else
        log_error("export", "%s: memory is out", d->name);
}

static void destination_free(struct destination *d)
{
    if (!d)
        return;
    push_free(d->push);
    for (unsigned s = 0; s < OTLP_SIGNALS; s++)
        line_free(d->lines[s]);
    transport_free(d->transport);
    free(d);
}

static struct destination *find(const struct forwarding *f, const char *name)
{
    for (unsigned i = 0; i < OWN_DESTINATIONS; i++)
        if (f->all[i] && strcmp(f->all[i]->name, name) == 0)
            return f->all[i];
    return NULL;
}

static struct destination *destination_new(struct forwarding *f, const char *name)
{
    unsigned slot = 0;
    while (slot < OWN_DESTINATIONS && f->all[slot])
        slot++;
    struct destination *d = slot < OWN_DESTINATIONS ? calloc(1, sizeof *d) : NULL;
    if (!d)
        return NULL;
    d->magic = MAGIC_DESTINATION;
    d->forwarding = f;
    d->slot = slot;
    snprintf(d->name, sizeof d->name, "%s", name);
    f->all[slot] = d;
    return d;
}

/* Those that are gone give up their lines and rows first. */
static void remove_others(struct forwarding *f, const struct config_destinations *all)
{
    for (unsigned i = 0; i < OWN_DESTINATIONS; i++) {
        bool kept = false;
        for (size_t k = 0; f->all[i] && k < all->n; k++)
            kept |= strcmp(all->all[k].name, f->all[i]->name) == 0;
        if (!f->all[i] || kept)
            continue;
        log_info("export", "%s: no longer a destination", f->all[i]->name);
        destination_free(f->all[i]);
        f->all[i] = NULL;
        own_forget_destination(&f->env.pl->own, i);
    }
}

static int claim(struct forwarding *f, const struct config_destinations *all, const char *name)
{
    char texts[OWN_DESTINATIONS][CONSUMER_NAME + 1], mine[CONSUMER_NAME + 1];
    struct str keep[OWN_DESTINATIONS];
    for (size_t i = 0; i < all->n; i++) {
        snprintf(texts[i], sizeof texts[i], "export/%s", all->all[i].name);
        keep[i] = str_of(texts[i]);
    }
    snprintf(mine, sizeof mine, "export/%s", name);
    return consumer_claim(f->env.pl->st, str_of(mine), keep, (unsigned)all->n);
}

static unsigned rings_of(const struct config *c, struct str consumer)
{
    char name[CONSUMER_NAME + 1];
    unsigned rings = 0;
    for (size_t i = 0; i < c->export_destinations.n; i++) {
        const struct config_destination *e = &c->export_destinations.all[i];
        snprintf(name, sizeof name, "export/%s", e->name);
        for (unsigned s = 0; s < OTLP_SIGNALS && str_eq(consumer, str_of(name)); s++)
            rings |= wants(c, e, s) ? 1u << ring_of(c, s) : 0;
    }
    return rings;
}

/* A ring that nobody reads for a destination must not look as if it waited for it: the
 * sampling would take it for a flood. Rows of destinations that are gone keep their names.
 * The lines that go with it are made and freed next. */
static void set_rings(struct forwarding *f, const struct config *c, unsigned row)
{
    struct store *st = f->env.pl->st;
    const unsigned rings = rings_of(c, consumer_name(st, row));
    for (unsigned k = 0; k < RING_MAX; k++)
        consumer_follow(st, (enum store_consumer)row, (enum store_ring_id)k, rings & 1u << k);
}

static void set_destination(struct forwarding *f, const struct config *c, size_t i, struct when now)
{
    const struct config_destination *e = &c->export_destinations.all[i];
    struct destination *d = find(f, e->name);
    const int row = claim(f, &c->export_destinations, e->name);
    if (!d)
        d = destination_new(f, e->name);
    if (row >= 0)
        set_rings(f, c, (unsigned)row);
    if (!d || row < 0 || own_consumers(&f->env.pl->own, now) < 0 ||
        own_destination(&f->env.pl->own, d->slot, str_of(e->name), e->signals, now) < 0)
        log_error("export", "%s: %s", e->name, row < 0 ? err_help(row) : "the store is full");
    if (!d || row < 0)
        return;
    options_spool(c, e, &d->spool);
    if (!d->transport || d->identity != options_identity(e))
        replace_transport(d, e);
    set_lines(d, c, e, (enum store_consumer)row);
    set_push(d, c, e, now);
    soon(d, now.mono);
}

void forwarding_configure(struct forwarding *f, const struct config *c)
{
    const struct when now = clock_now();
    f->push_interval = c->export_metrics_interval;
    remove_others(f, &c->export_destinations);
    for (unsigned row = CONSUMER_EXPORT; row < CONSUMER_MAX; row++)
        set_rings(f, c, row);
    (void)own_consumers(&f->env.pl->own, now); /* those that are gone have none */
    for (size_t i = 0; i < c->export_destinations.n; i++)
        set_destination(f, c, i, now);
}

struct forwarding *forwarding_new(const struct forwarding_env *env, const struct config *c)
{
    struct forwarding *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->env = *env;
    snprintf(f->service, sizeof f->service, "%s", env->service);
    snprintf(f->instance, sizeof f->instance, "%s", env->instance);
    if (!alarm_init(&f->wake, env->base, on_wake, f)) {
        free(f);
        return NULL;
    }
    forwarding_configure(f, c);
    return f;
}

void forwarding_free(struct forwarding *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < OWN_DESTINATIONS; i++)
        destination_free(f->all[i]);
    alarm_fini(&f->wake);
    free(f);
}

/* ---- once a second, and at the end ---- */

void forwarding_tick(struct forwarding *f, struct when now)
{
    for (unsigned i = 0; i < OWN_LANES; i++) {
        struct line *l = line_at(f, i);
        if (l)
            lane_report(&l->lane, now);
    }
}

void forwarding_drain(struct forwarding *f, void (*done)(void *arg), void *arg)
{
    const uint64_t now = clock_now().mono;
    f->drain_began = now;
    f->drained = done;
    f->drained_arg = arg;
    for (unsigned i = 0; i < OWN_LANES; i++) {
        struct line *l = line_at(f, i);
        if (!l)
            continue;
        lane_flush(&l->lane);
        l->due = 0;
        if (l->destination->push) /* a last one */
            l->destination->push->next = now;
    }
    alarm_by(&f->wake, now, now);
}

/* ---- what is shown ---- */

static void check_line(const struct line *l, struct check *c)
{
    const struct lane *lane = &l->lane;
    const char *why = lane_trouble(lane);
    if (!why)
        return;
    const size_t n = strlen(c->message);
    const struct str error = text_cut(str_of(lane->error), 100);
    c->status = CHECK_WARN;
    snprintf(c->message + n, sizeof c->message - n, "%s%s: %s%s%.*s", n ? "; " : "",
             otlp_signal_name(lane->signal), why, error.n ? ": " : "", STR_ARG(error));
    c->message[text_cut(str_of(c->message), strlen(c->message)).n] = '\0';
}

void forwarding_checks(const struct forwarding *f, struct verdict *v)
{
    for (unsigned i = 0; f && i < OWN_DESTINATIONS; i++) {
        char name[CHECK_NAME_MAX];
        if (!f->all[i])
            continue;
        snprintf(name, sizeof name, "export/%s", f->all[i]->name);
        struct check *c = verdict_add(v, name, 0);
        for (unsigned s = 0; s < OTLP_SIGNALS; s++)
            if (f->all[i]->lines[s])
                check_line(f->all[i]->lines[s], c);
    }
}

static uint64_t own_of(const struct lane *l, enum own_metric m, unsigned each, unsigned at)
{
    return own_get(l->own, m, l->index * each + at);
}

void forwarding_status(const struct forwarding *f, struct status_info *out)
{
    out->nlanes = 0;
    for (unsigned i = 0; f && i < OWN_LANES; i++) {
        const struct line *line = line_at(f, i);
        if (!line)
            continue;
        const struct lane *l = &line->lane;
        struct status_lane *s = &out->lanes[out->nlanes++];
        *s = (struct status_lane){
            .destination = line->destination->name,
            .signal = otlp_signal_name(l->signal),
            .breaker = breaker_name(l->breaker.state),
            .error = l->error,
            .retries = own_of(l, OWN_EXPORT_REQUESTS, OWN_ANSWERS, OWN_ANSWER_RETRY),
            .waiting = l->ring == RING_MAX ? 0 : follow_waiting(&l->follow, l->st),
            .spool_records = l->spool.stats.records,
            .spool_items = own_of(l, OWN_EXPORT_SPOOL_ITEMS, 1, 0),
            .spool_bytes = l->spool.stats.bytes,
            .spool_oldest = l->spool.stats.records ? l->spool.stats.oldest : 0,
        };
        for (const struct bundle *b = l->queue.head; b; b = b->next)
            s->queued += b->state == BUNDLE_DONE ? 0 : b->items;
        s->queued += l->request.items;
        for (unsigned k = 0; k < OWN_OUTCOMES; k++)
            s->outcomes[k] = own_of(l, OWN_EXPORT_ITEMS, OWN_OUTCOMES, k);
    }
}
