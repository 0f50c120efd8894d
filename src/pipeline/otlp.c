#include "pipeline/otlp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "pipeline/otlp_request.h"
#include "pipeline/redact_otlp.h"
#include "pipeline/ring_share.h"
#include "wire/decode.h"

enum {
    RECORD_HEADS = 32, /* bytes of tags and lengths that otlp_join() adds, at most */
    ITEM_COST = 64,    /* bytes that an item counts beside its own */
    COPY_SHARE = 8,    /* of what lies around an item, which is copied but not read again */
    ORIGIN_TEXT = 2 * LIMIT_ORIGIN,
};

struct otlp_request *otlp_request_new(struct pipeline *pl, enum otlp_signal signal, uint8_t *bytes,
                                      size_t n)
{
    struct otlp_request *r = calloc(1, sizeof *r);
    if (!r) {
        free(bytes);
        return NULL;
    }
    r->pl = pl;
    r->signal = signal;
    r->bytes = bytes;
    r->size = n;
    otlp_walk_init(&r->walk, signal, (struct str){(const char *)bytes, n});
    otlp_metric_init(&r->hand.m);
    buf_init(&r->resource_text, ORIGIN_TEXT);
    buf_init(&r->scope_text, ORIGIN_TEXT);
    r->service = OTLP_UNKNOWN_SERVICE;
    r->refused = r->barred = DROP_MAX;
    return r;
}

void otlp_request_free(struct otlp_request *r)
{
    if (!r)
        return;
    otlp_walk_fini(&r->walk);
    otlp_metric_fini(&r->hand.m);
    buf_fini(&r->resource_text);
    buf_fini(&r->scope_text);
    free(r->bytes);
    free(r);
}

/* ---- the ledger ---- */

void otlp_settle(struct otlp_request *r)
{
    if (r->tally.done && r->ledger)
        tally_post(&r->tally, r->pl, r->domain);
    else
        tally_forget(&r->tally);
    store_commit(r->pl->st);
}

/* Items or points are done with, all in the same way. */
static void finish_many(struct otlp_request *r, int why, size_t n)
{
    r->tally.done += n;
    r->counted = true;
    if (why == DROP_MAX) {
        r->tally.applied += n;
        r->applied += n;
    } else {
        tally_drop_many(&r->tally, (enum drop_reason)why, (uint32_t)n);
    }
    r->sampled += why == DROP_SAMPLED ? n : 0;
    if (store_has_room(r->pl->st))
        return;
    otlp_points_flush(r);
    otlp_settle(r);
}

static void finish(struct otlp_request *r, int why)
{
    finish_many(r, why, 1);
}

bool otlp_make_room(struct otlp_request *r, enum store_ring_id ring)
{
    if (!ring_share_allows(r->pl, ring, r->domain))
        return false;
    if (ring_has_room(r->pl->st, ring))
        return true;
    otlp_settle(r);
    ring_make_room(r->pl->st, ring);
    return true;
}

/* ---- whose items they are ---- */

/* What was done for the owner so far. */
static void settle_owner(struct otlp_request *r)
{
    otlp_settle(r);
    if (!r->owned)
        return;
    domain_read(r->pl, r->domain, r->spent, r->now);
    domain_spend(r->pl, r->domain, 2 * r->spent); /* a turn has half as many bytes of these */
    domain_turned(r->pl, r->domain, r->now);
    r->spent = 0;
}

/* Whether the domain takes items now. A request of which nothing was taken yet is put off
 * as a whole, so that its sender keeps it; of one that has begun they are dropped. */
static void judge_owner(struct otlp_request *r)
{
    struct pipeline *pl = r->pl;
    const bool begun = r->counted || r->hand.open;
    const bool open = domain_admits(pl, r->domain, r->now, &r->retry);
    const bool over = open && domain_pace(pl, r->domain, r->now) == DOMAIN_DROP;
    r->barred = open ? over ? DROP_RATE_LIMITED : DROP_MAX : DROP_DOMAIN_CLOSED;
    if (over)
        r->retry = domain_even(pl, r->domain) - r->now.mono + NS_PER_S;
    r->put_off = r->barred != DROP_MAX && !begun;
    if (!r->put_off)
        return;
    r->ended = true;
    own_add(&pl->own, OWN_DOMAIN_REFUSED, r->domain, 1);
    store_commit(pl->st);
}

/* The ledger of a domain has to be there before anything of it is counted. Where there
 * is no room for it items are refused uncounted, as connections are. */
static void set_owner(struct otlp_request *r, struct str service)
{
    struct pipeline *pl = r->pl;
    const struct peer peer = {.uid = OTLP_UID};
    settle_owner(r);
    r->service = service;
    r->domain = pipeline_domain(pl, &peer, service, (struct str){0});
    r->ledger = own_domain(&pl->own, r->domain, r->now) == 0;
    r->owned = true;
    judge_owner(r);
    pl->st->head->domain_in_hand = r->domain + 1u;
}

/* A resource is looked at once, however many scopes it has: a large one around many small
 * ones would cost its sender little and us much. */
static void new_resource(struct otlp_request *r)
{
    hash_bytes128(r->item.resource.p, r->item.resource.n, r->pl->st->head->secret,
                  r->resource_hash);
    r->bad_resource = otlp_origin_resource(r->item.resource, &r->origin);
    r->resource_kept = false;
    const bool named = r->bad_resource == 0 && r->origin.service.n > 0;
    set_owner(r, named ? r->origin.service : OTLP_UNKNOWN_SERVICE);
    if (r->signal == OTLP_METRICS && r->bad_resource == 0 && r->ledger && r->barred == DROP_MAX)
        otlp_target_info(r);
}

static void new_scope(struct otlp_request *r)
{
    uint64_t scope[2];
    const int bad = otlp_origin_scope(r->item.scope, &r->origin);
    hash_bytes128(r->item.scope.p, r->item.scope.n, r->pl->st->head->secret, scope);
    r->origin_hash[0] = r->resource_hash[0] * 3 + scope[0];
    r->origin_hash[1] = r->resource_hash[1] * 3 + scope[1];
    r->scope_kept = false;
    if (!r->ledger)
        r->refused = DROP_SERIES_FULL;
    else if (r->bad_resource < 0 || bad < 0)
        r->refused = drop_of_error(r->bad_resource < 0 ? r->bad_resource : bad);
    else
        r->refused = DROP_MAX;
}

/* ---- into a ring ---- */

/* One part redacted: false when it may not be stored. */
static bool redact_part(struct otlp_request *r, enum otlp_part part, struct str bytes,
                        struct buf *to, struct str *out)
{
    struct pipeline *pl = r->pl;
    struct redact_count n = {0};
    buf_reset(to);
    const int got = redact_otlp(pl->redact, r->signal, part, bytes, to, &n);
    if (n.all)
        own_add_redacted(&pl->own, &n);
    *out = got == 1 ? buf_str(to) : bytes;
    return got >= 0 && !to->failed;
}

static bool keep_origin(struct otlp_request *r)
{
    if (!r->resource_kept)
        r->resource_kept =
            redact_part(r, OTLP_PART_RESOURCE, r->item.resource, &r->resource_text, &r->resource);
    if (!r->scope_kept)
        r->scope_kept = redact_part(r, OTLP_PART_SCOPE, r->item.scope, &r->scope_text, &r->scope);
    return r->resource_kept && r->scope_kept;
}

bool otlp_too_large(const struct otlp_request *r, enum store_ring_id ring, size_t item)
{
    const size_t around = r->item.resource.n + r->item.scope.n + RECORD_HEADS;
    return around + item > ring_limit(r->pl->st, ring);
}

int otlp_keep(struct otlp_request *r, enum store_ring_id ring, unsigned kind, struct str bytes)
{
    struct pipeline *pl = r->pl;
    struct str item;
    if (!keep_origin(r) || !redact_part(r, OTLP_PART_ITEM, bytes, &pl->otlp_text, &item))
        return DROP_LIMIT;
    buf_reset(&pl->record);
    otlp_join(&pl->record, r->resource, r->scope, item);
    const struct ring_item record = {
        .kind = kind,
        .domain = r->domain,
        .service = r->service,
        .body = buf_str(&pl->record),
        .received = r->now.wall,
    };
    if (pl->record.failed || ring_append(pl->st, ring, &record) < 0)
        return DROP_RING_FULL;
    return DROP_MAX;
}

/* ---- stepping ---- */

/* Something of the request that cannot be read stands for one item: nobody can tell how
 * many it would have been. */
static void next_failed(struct otlp_request *r, int err)
{
    if (!r->owned)
        set_owner(r, OTLP_UNKNOWN_SERVICE);
    if (err == -ERR_RANGE) {
        finish_many(r, DROP_LIMIT, r->walk.skipped ? r->walk.skipped : 1);
        return;
    }
    finish(r, (int)drop_of_error(err));
    r->unreadable = !r->begun;
    r->ended = true;
}

static int apply_item(struct otlp_request *r)
{
    if (r->refused != DROP_MAX)
        return (int)r->refused;
    if (r->barred != DROP_MAX)
        return (int)r->barred;
    return r->signal == OTLP_TRACES ? otlp_apply_span(r) : otlp_apply_log(r);
}

/* What an item costs beside its own bytes. */
static size_t cost_around(const struct otlp_item *i)
{
    const size_t resource = i->new_resource ? i->resource.n : i->resource.n / COPY_SHARE;
    const size_t scope = i->new_scope ? i->scope.n : i->scope.n / COPY_SHARE;
    return ITEM_COST + resource + scope;
}

static int walk_on(struct otlp_request *r)
{
    const size_t before = r->walk.work;
    const int got = otlp_walk_next(&r->walk, &r->item);
    r->work += FIELD_COST * (r->walk.work - before);
    return got;
}

/* The next item of the walk. */
static void next_item(struct otlp_request *r)
{
    const int got = walk_on(r);
    if (got < 0)
        next_failed(r, got);
    r->ended |= got == 0;
    if (got != 1)
        return;
    r->begun = true;
    if (r->item.new_resource)
        new_resource(r);
    if (r->item.new_resource || r->item.new_scope)
        new_scope(r);
    if (r->put_off)
        return;
    r->work += cost_around(&r->item);
    if (r->signal == OTLP_METRICS && r->refused == DROP_MAX && r->barred == DROP_MAX) {
        otlp_metric_open(r);
        return;
    }
    const size_t n = r->item.bytes.n;
    r->work += n < LIMIT_RECORD ? n : 0; /* a larger one is not read */
    finish(r, apply_item(r));
}

/* The next point of the metric in hand. */
static void next_point(struct otlp_request *r)
{
    const int why = otlp_metric_point(r);
    if (why >= 0)
        finish(r, why);
}

static void next(struct otlp_request *r)
{
    const size_t before = r->work;
    if (r->hand.open)
        next_point(r);
    else
        next_item(r);
    r->spent += r->work - before;
}

/* "3 of 12 items were not taken: 2 bounds_mismatch, 1 not_finite". */
static void write_message(struct otlp_request *r, uint64_t rejected)
{
    size_t n = 0;
    for (unsigned why = 0; why < DROP_MAX && n < sizeof r->message; why++) {
        if (why == DROP_SAMPLED || r->tally.all_dropped[why] == 0)
            continue;
        const char *between = n ? ", " : "not taken: ";
        n += (size_t)snprintf(r->message + n, sizeof r->message - n, "%s%u %s (%s)", between,
                              r->tally.all_dropped[why], drop_name(why), drop_help(why));
    }
    if (rejected == 0)
        r->message[0] = '\0';
}

static uint64_t rejected(const struct otlp_request *r)
{
    uint64_t n = 0;
    for (unsigned why = 0; why < DROP_MAX; why++)
        n += why == DROP_SAMPLED ? 0 : r->tally.all_dropped[why];
    return n;
}

bool otlp_request_step(struct otlp_request *r, size_t bytes, struct when now)
{
    struct store_head *head = r->pl->st->head;
    r->now = now;
    r->pressure = r->signal == OTLP_TRACES ? pipeline_pressure(r->pl) : 0;
    head->domain_in_hand = r->owned ? r->domain + 1u : 0;
    if (r->owned)
        judge_owner(r);
    for (r->work = 0; !r->ended && r->work < bytes;)
        next(r);
    otlp_metric_pause(r);
    settle_owner(r);
    head->domain_in_hand = 0;
    if (r->ended)
        write_message(r, rejected(r));
    return !r->ended;
}

void otlp_request_result(const struct otlp_request *r, struct otlp_result *out)
{
    *out = (struct otlp_result){
        .accepted = r->applied + r->sampled,
        .rejected = rejected(r),
        .unreadable = r->unreadable,
        .message = str_of(r->message),
        .retry = r->put_off ? r->retry : 0,
        .over = r->put_off && r->barred == DROP_RATE_LIMITED,
    };
}

int otlp_request_domain(const struct otlp_request *r)
{
    return r->owned ? (int)r->domain : -1;
}
