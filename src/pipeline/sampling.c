#include "pipeline/sampling.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "model/tracestate.h"
#include "otlp/record.h"
#include "pipeline/flood.h"
#include "pipeline/sample_rules.h"
#include "pipeline/slow_names.h"
#include "pipeline/trace_table.h"
#include "store/commit.h"
#include "store/read.h"

enum { DUE_PER_NOTE = 4, DUE_PER_TICK = 8192, RECOVER_PER_TICK = 4096 };

/* From this pressure on, traces are decided at once. */
static const double pressed_from = 0.75;

/* A trace of which a span comes soon. */
struct coming {
    uint8_t id[16];
    uint64_t hash; /* of the id */
};

/* By what a trace was decided: the label `verdict` of mcptally_traces_sampled_total. */
enum verdict { BY_PROBABILITY, BY_ERROR, BY_SLOW, BY_FORCED, LEFT_OUT, VERDICTS };

struct sampling {
    struct store *st;
    struct own *own;
    struct sampling_options o;
    struct sample_rules *rules;
    struct slow_names *slow; /* NULL: not asked for */
    struct flood flood;
    uint64_t threshold[TIER_MAX]; /* of the rates as they are now */
    struct trace_table traces;
    struct coming hand, next; /* of the span that is noted now, and the one behind it */
    struct trace_entry *held; /* before it in their order, all are decided; NULL: all are */
    uint64_t counted_at; /* wall ns: traces decided before that were counted by a daemon before */
    /* Own metrics that wait for the tick, so that neither door needs room in the undo log. */
    uint64_t spans[TIER_MAX], verdicts[VERDICTS], partial, at_once;
    struct recovery {
        bool done;
        uint64_t position, end;
        struct event *event;
        char *copy;
        struct buf scratch;
    } recovery;
};

/* ---- names ---- */

static const char *const tier_names[TIER_MAX] = {"debug", "normal", "critical"};

const char *sample_tier_name(unsigned tier)
{
    return tier < TIER_MAX ? tier_names[tier] : "unknown";
}

int sample_tier_of(struct str name)
{
    for (int t = 0; t < TIER_MAX; t++)
        if (str_eq(name, str_of(tier_names[t])))
            return t;
    return -ERR_NOTFOUND;
}

void sampling_defaults(struct sampling_options *o)
{
    *o = (struct sampling_options){
        .enabled = true,
        .rate = {[TIER_DEBUG] = 0.01, [TIER_NORMAL] = 0.1, [TIER_CRITICAL] = 1},
        .window = 5 * NS_PER_S,
        .late = 60 * NS_PER_S,
        .slow = NS_PER_S,
        .traces = 16384,
        .spans_per_second = 50000,
    };
}

/* ---- rates ---- */

_Static_assert((int)TIER_MAX <= (int)TIERS, "the store keeps a rate for each");

void sampling_state(const struct sampling *s, enum sample_tier tier, struct sampling_state *out)
{
    const uint64_t word = s->st->head->tier_rate[tier];
    out->configured = s->o.rate[tier];
    out->set = word ? bits_f64(word - 1) : -1;
    out->now = (out->set < 0 ? out->configured : out->set) * flood_factor(&s->flood, tier);
}

static void rates_changed(struct sampling *s)
{
    struct sampling_state state;
    for (enum sample_tier t = 0; t < TIER_MAX; t++) {
        sampling_state(s, t, &state);
        s->threshold[t] = tracestate_threshold(state.now);
    }
}

int sampling_set(struct sampling *s, enum sample_tier tier, double rate)
{
    if (tier >= TIER_MAX || !(rate <= 1))
        return -ERR_RANGE;
    STORE_SET(s->st, s->st->head->tier_rate[tier], rate < 0 ? 0 : f64_bits(rate) + 1);
    store_commit(s->st);
    rates_changed(s);
    return 0;
}

bool sampling_enabled(const struct sampling *s)
{
    return s->o.enabled;
}

unsigned sampling_level(const struct sampling *s)
{
    return s->flood.level;
}

unsigned sampling_traces(const struct sampling *s)
{
    return s->traces.n;
}

/* ---- making ---- */

static void recovery_end(struct recovery *r)
{
    free(r->event);
    free(r->copy);
    buf_fini(&r->scratch);
    *r = (struct recovery){.done = true};
}

static bool recovery_begin(struct sampling *s)
{
    struct recovery *r = &s->recovery;
    r->position = ring_tail(s->st, RING_SPANS);
    r->end = ring_head(s->st, RING_SPANS);
    buf_init(&r->scratch, LIMIT_RECORD);
    if (r->position == r->end) {
        recovery_end(r);
        return true;
    }
    r->event = malloc(sizeof *r->event);
    r->copy = malloc(RING_COPY);
    return r->event && r->copy;
}

struct sampling *sampling_new(struct store *st, struct own *own, const struct sampling_options *o,
                              struct when now)
{
    struct sampling *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->st = st;
    s->own = own;
    s->counted_at = now.wall;
    if (sampling_configure(s, o) && recovery_begin(s))
        return s;
    sampling_free(s);
    return NULL;
}

void sampling_free(struct sampling *s)
{
    if (!s)
        return;
    recovery_end(&s->recovery);
    trace_table_fini(&s->traces);
    sample_rules_free(s->rules);
    free(s->slow);
    free(s);
}

static bool want_slow_names(struct sampling *s, bool want)
{
    if (!want || s->slow) {
        if (!want)
            free(s->slow);
        s->slow = want ? s->slow : NULL;
        return true;
    }
    s->slow = malloc(sizeof *s->slow);
    if (s->slow)
        slow_names_init(s->slow, s->st->head->secret);
    return s->slow != NULL;
}

/* With another number of traces the table begins anew: what it held is decided span by
 * span. */
bool sampling_configure(struct sampling *s, const struct sampling_options *o)
{
    struct sample_rules *rules = sample_rules_new(o->rules, o->nrules);
    if (!rules || !want_slow_names(s, o->slow_p99 && o->enabled)) {
        sample_rules_free(rules);
        return false;
    }
    if (o->traces != s->o.traces) {
        trace_table_fini(&s->traces);
        trace_table_init(&s->traces, o->traces, s->st->head->secret);
        s->held = NULL;
    }
    sample_rules_free(s->rules);
    s->rules = rules;
    s->o = *o;
    s->o.rules = NULL;
    rates_changed(s);
    return true;
}

/* ---- what a span says ---- */

struct said {
    uint8_t tier;  /* that a rule gave it + 1, or 0 */
    uint8_t flags; /* enum trace_flag */
    struct tracestate_ot ot;
};

static uint64_t duration(const struct event *e)
{
    return e->end > e->time ? e->end - e->time : 0;
}

static void listen(struct sampling *s, const struct sample_span *span, struct said *out)
{
    const struct event *e = span->event;
    const enum sample_tier tier = sample_rules_match(s->rules, span);
    *out = (struct said){.tier = tier < TIER_MAX ? (uint8_t)(tier + 1) : 0};
    out->flags = (uint8_t)((e->status == SPAN_ERROR ? TRACE_ERROR : 0) |
                           (s->o.slow && duration(e) >= s->o.slow ? TRACE_SLOW : 0) |
                           (sample_forced(e) ? TRACE_FORCED : 0));
    if (e->tracestate.n)
        tracestate_read(e->tracestate, &out->ot);
}

bool sampling_local_root(const struct event *e)
{
    enum { KNOWN_REMOTE = 0x300 }; /* OTLP's span flags: has_is_remote and is_remote */
    static const uint8_t none[sizeof e->parent_id];
    return memcmp(e->parent_id, none, sizeof none) == 0 ||
           (e->span_flags & KNOWN_REMOTE) == KNOWN_REMOTE;
}

static bool has_trace(const struct event *e)
{
    static const uint8_t none[sizeof e->trace.trace_id];
    return memcmp(e->trace.trace_id, none, sizeof none) != 0;
}

/* A span without a trace is a trace by itself. */
static uint64_t random_of(const struct event *e, const struct tracestate_ot *ot)
{
    if (has_trace(e))
        return tracestate_random(e->trace.trace_id, ot);
    return hash_bytes(e->trace.span_id, sizeof e->trace.span_id, e->time) & (TRACESTATE_NEVER - 1);
}

/* ---- deciding a trace ---- */

struct judged {
    bool kept;
    uint64_t threshold;
    enum verdict by;
};

/* tier: as in a trace_entry. */
static uint64_t threshold_of(const struct sampling *s, unsigned tier)
{
    return s->threshold[tier ? tier - 1 : TIER_NORMAL];
}

static struct judged judge(const struct sampling *s, unsigned tier, unsigned flags, uint64_t random)
{
    const uint64_t threshold = threshold_of(s, tier);
    if (flags)
        return (struct judged){.kept = true,
                               .by = flags & TRACE_ERROR  ? BY_ERROR
                                     : flags & TRACE_SLOW ? BY_SLOW
                                                          : BY_FORCED};
    if (random >= threshold)
        return (struct judged){.kept = true, .threshold = threshold, .by = BY_PROBABILITY};
    return (struct judged){.threshold = threshold, .by = LEFT_OUT};
}

static uint64_t entry_random(const struct trace_entry *e)
{
    const struct tracestate_ot ot = {.has_random = e->has_random, .random = e->random};
    return tracestate_random(e->id, &ot);
}

static void decide_entry(struct sampling *s, struct trace_entry *e)
{
    const struct judged j = judge(s, e->tier, e->flags, entry_random(e));
    e->kept = j.kept;
    e->threshold = j.threshold;
    e->decided = true;
    if (e->first + s->o.window >= s->counted_at)
        s->verdicts[j.by]++;
}

/* Whether the window of a trace is over. A clock that went back by more than a window
 * ends it too. */
static bool due(const struct sampling *s, const struct trace_entry *e, uint64_t wall)
{
    return wall >= e->first + s->o.window || e->first > wall + s->o.window;
}

static bool forgotten(const struct sampling *s, const struct trace_entry *e, uint64_t wall)
{
    const uint64_t keep = s->o.window + s->o.late;
    return wall >= e->first + keep || e->first > wall + keep;
}

static void drop_entry(struct sampling *s, struct trace_entry *e)
{
    if (!e->decided)
        decide_entry(s, e);
    if (s->held == e)
        s->held = trace_table_after(&s->traces, e);
    trace_table_remove(&s->traces, e);
}

/* Decides the oldest that are due and drops what need not be remembered longer. */
static void advance(struct sampling *s, unsigned steps, uint64_t wall)
{
    struct trace_entry *oldest;
    for (unsigned i = 0; s->held && i < steps; i++) {
        if (!s->held->decided && !due(s, s->held, wall))
            break;
        if (!s->held->decided)
            decide_entry(s, s->held);
        s->held = trace_table_after(&s->traces, s->held);
    }
    for (unsigned i = 0; i < steps && (oldest = trace_table_oldest(&s->traces)) != NULL; i++) {
        if (!forgotten(s, oldest, wall))
            break;
        drop_entry(s, oldest);
    }
}

/* ---- the door ---- */

/* A new entry; when the table is full, in the place of the oldest if that was decided or
 * can be. */
/* A domain that has its share gives up a trace of its own, or gets no further one. */
static struct trace_entry *enter(struct sampling *s, const uint8_t id[16], unsigned domain,
                                 uint64_t received, uint64_t wall)
{
    struct trace_entry *e = trace_table_add(&s->traces, id, domain, received);
    struct trace_entry *oldest = e ? NULL : trace_table_oldest(&s->traces);
    if (oldest && oldest->domain == domain && (oldest->decided || due(s, oldest, wall))) {
        drop_entry(s, oldest);
        e = trace_table_add(&s->traces, id, domain, received);
    }
    if (e && !s->held)
        s->held = e;
    return e;
}

static void hear(struct trace_entry *e, const struct said *said)
{
    e->tier = said->tier > e->tier ? said->tier : e->tier;
    e->flags |= said->flags;
    if (said->ot.has_random && !e->has_random) {
        e->has_random = true;
        e->random = said->ot.random;
    }
}

/* A span of a trace that was decided: it may keep what is still to come, and the first
 * local root of a trace that was not held says its tier. */
static void hear_late(struct sampling *s, struct trace_entry *e, const struct said *said,
                      bool local_root)
{
    const bool names_tier = local_root && !e->rooted && s->o.window == 0 && said->tier;
    const bool may_change = said->flags || e->threshold != threshold_of(s, e->tier);
    if (!names_tier && (e->kept || !may_change))
        return;
    if (names_tier)
        e->tier = said->tier;
    e->flags |= said->flags;
    const struct judged j = judge(s, e->tier, e->flags, entry_random(e));
    e->kept = j.kept;
    e->threshold = j.threshold;
}

static uint64_t hash_of(const struct sampling *s, const uint8_t id[16])
{
    const bool expected = memcmp(s->hand.id, id, sizeof s->hand.id) == 0;
    return expected ? s->hand.hash : trace_table_hash(&s->traces, id);
}

static struct trace_entry *remember(struct sampling *s, const struct sample_span *span,
                                    const struct said *said, uint64_t wall)
{
    const uint8_t *id = span->event->trace.trace_id;
    struct trace_entry *e = trace_table_find_by(&s->traces, hash_of(s, id), id);
    if (e && forgotten(s, e, wall)) {
        drop_entry(s, e);
        e = NULL;
    }
    if (!e)
        e = enter(s, id, span->domain, wall, wall);
    else if (!e->decided && due(s, e, wall))
        decide_entry(s, e);
    if (!e)
        return NULL;
    if (e->decided) {
        s->partial += s->o.window > 0;
        hear_late(s, e, said, span->local_root);
    } else {
        hear(e, said);
    }
    e->rooted = e->rooted || span->local_root;
    return e;
}

bool sampling_at_door(const struct sampling *s)
{
    return s && s->o.enabled && s->o.window == 0;
}

const struct str *sampling_keys(const struct sampling *s, unsigned *n)
{
    return sample_rules_keys(s->rules, n);
}

void sampling_expect(struct sampling *s, const uint8_t *trace_id)
{
    if (!s)
        return;
    s->hand = s->next;
    trace_table_nearer(&s->traces, s->hand.hash);
    if (!trace_id)
        return;
    memcpy(s->next.id, trace_id, sizeof s->next.id);
    s->next.hash = trace_table_hash(&s->traces, trace_id);
    trace_table_near(&s->traces, s->next.hash);
}

enum sample_door sampling_note(struct sampling *s, const struct sample_span *span, double pressure,
                               struct when now)
{
    struct said said;
    if (!s || !s->o.enabled)
        return SAMPLE_ENTER;
    const struct event *event = span->event;
    flood_note(&s->flood, pressure);
    advance(s, DUE_PER_NOTE, now.wall);
    listen(s, span, &said);
    if (s->slow && slow_names_note(s->slow, span->service, event->name, duration(event), now.mono))
        said.flags |= TRACE_SLOW;
    s->spans[said.tier ? said.tier - 1 : TIER_NORMAL]++;
    struct trace_entry *e = has_trace(event) ? remember(s, span, &said, now.wall) : NULL;
    if (!e) {
        s->at_once += has_trace(event);
        return judge(s, said.tier, said.flags, random_of(event, &said.ot)).kept ? SAMPLE_ENTER
                                                                                : SAMPLE_DROP;
    }
    if (!e->decided && (s->o.window == 0 || pressure >= pressed_from)) {
        s->at_once += s->o.window > 0;
        decide_entry(s, e);
    }
    return e->decided && !e->kept ? SAMPLE_DROP : SAMPLE_ENTER;
}

/* ---- whoever sends on ---- */

/* The stricter of ours and of the one that the span came with, if that can be true. */
static void answer(const struct judged *j, const struct tracestate_ot *ot, uint64_t random,
                   struct sample_decision *out)
{
    const bool honest = ot->has_threshold && random >= ot->threshold;
    out->verdict = j->kept ? SAMPLE_KEEP : SAMPLE_LEAVE_OUT;
    out->threshold = honest && ot->threshold > j->threshold ? ot->threshold : j->threshold;
    out->write = j->kept && !(ot->has_threshold && ot->threshold == out->threshold);
}

static void decide_alone(struct sampling *s, const struct sample_span *span,
                         struct sample_decision *out)
{
    struct said said;
    listen(s, span, &said);
    const uint64_t random = random_of(span->event, &said.ot);
    const struct judged j = judge(s, said.tier, said.flags, random);
    answer(&j, &said.ot, random, out);
    out->partial = true;
}

void sampling_decide(struct sampling *s, const struct sample_span *span, uint64_t received,
                     bool pressed, struct when now, struct sample_decision *out)
{
    *out = (struct sample_decision){.verdict = SAMPLE_KEEP};
    if (!s || !s->o.enabled)
        return;
    if (!s->recovery.done) {
        out->verdict = SAMPLE_WAIT;
        return;
    }
    struct trace_entry *e = trace_table_find(&s->traces, span->event->trace.trace_id);
    if (!e || received < e->first) {
        decide_alone(s, span, out);
        return;
    }
    if (!e->decided && !pressed && !due(s, e, now.wall)) {
        out->verdict = SAMPLE_WAIT;
        return;
    }
    if (!e->decided) {
        s->at_once += !due(s, e, now.wall);
        decide_entry(s, e);
    }
    struct tracestate_ot ot = {0};
    if (span->event->tracestate.n)
        tracestate_read(span->event->tracestate, &ot);
    const struct judged j = {.kept = e->kept, .threshold = e->threshold};
    answer(&j, &ot, entry_random(e), out);
    out->partial = received > e->first + s->o.window;
}

/* ---- after a crash ---- */

static void recover_span(struct sampling *s, const struct ring_view *v, uint64_t wall)
{
    struct recovery *r = &s->recovery;
    struct said said;
    buf_reset(&r->scratch);
    if (record_event(v->kind, v->body, r->event, &r->scratch) < 0 || r->event->kind != EVENT_SPAN)
        return;
    const struct sample_span span = {.event = r->event,
                                     .service = v->service,
                                     .domain = v->domain,
                                     .local_root = sampling_local_root(r->event)};
    listen(s, &span, &said);
    struct trace_entry *e = trace_table_find(&s->traces, r->event->trace.trace_id);
    if (!e && has_trace(r->event))
        e = enter(s, r->event->trace.trace_id, v->domain, v->received, wall);
    if (!e)
        return;
    e->first = v->received < e->first ? v->received : e->first;
    if (!e->decided && v->received <= e->first + s->o.window)
        hear(e, &said);
    e->rooted = e->rooted || span.local_root;
}

bool sampling_recover(struct sampling *s, unsigned records, struct when now)
{
    struct recovery *r = &s->recovery;
    struct ring_view v;
    while (!r->done && records-- > 0) {
        const int got = r->position < r->end
                            ? ring_read(s->st, RING_SPANS, &r->position, r->copy, RING_COPY, &v)
                            : 0;
        if (got == 0)
            recovery_end(r);
        else if (got > 0 && v.received + s->o.window + s->o.late > now.wall)
            recover_span(s, &v, now.wall);
    }
    return !r->done;
}

/* ---- the tick ---- */

static void count(struct sampling *s)
{
    struct sampling_state state;
    for (enum sample_tier t = 0; t < TIER_MAX; t++) {
        sampling_state(s, t, &state);
        own_set(s->own, OWN_SAMPLING_RATIO, t, f64_bits(s->o.enabled ? state.now : 1));
        own_add(s->own, OWN_SPANS_SAMPLED, t, s->spans[t]);
        s->spans[t] = 0;
    }
    for (unsigned v = 0; v < VERDICTS; v++) {
        own_add(s->own, OWN_TRACES_SAMPLED, v, s->verdicts[v]);
        s->verdicts[v] = 0;
    }
    own_add(s->own, OWN_SPANS_PARTIAL, 0, s->partial);
    own_add(s->own, OWN_SAMPLING_AT_ONCE, 0, s->at_once);
    own_set(s->own, OWN_TRACES_HELD, 0, s->traces.n);
    s->partial = s->at_once = 0;
    store_commit(s->st);
}

void sampling_tick(struct sampling *s, struct when now)
{
    if (!s->recovery.done)
        (void)sampling_recover(s, RECOVER_PER_TICK, now);
    flood_tick(&s->flood, s->o.spans_per_second, now);
    rates_changed(s);
    advance(s, DUE_PER_TICK, now.wall);
    count(s);
}
