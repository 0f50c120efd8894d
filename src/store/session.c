#include "store/session.h"

#include <string.h>

#include "base/hash.h"
#include "store/session_ring.h"
#include "store/space.h"

enum { CHAIN_MAX = 4096, EVICT_SCAN = 4096 };

static uint64_t id_hash(const struct store *st, const uint8_t id[16])
{
    return hash_bytes(id, 16, st->head->secret) | 1;
}

uint32_t session_find(const struct store *st, const uint8_t id[16])
{
    uint32_t i = table_first(st, TABLE_SESSIONS, id_hash(st, id));
    for (int n = 0; i && n < CHAIN_MAX; n++, i = table_next(st, TABLE_SESSIONS, i)) {
        const struct session_rec *r = table_get(st, TABLE_SESSIONS, i);
        if (r && memcmp(r->id, id, sizeof r->id) == 0)
            return i;
    }
    return 0;
}

static bool ended_before(const struct store *st, const struct session_rec *r, uint32_t other)
{
    return !other || r->ended < session_at(st, other)->ended;
}

/* Of a bounded number of records, the one that ended longest ago, of the same
 * domain if there is any: who floods the table with sessions drives out its own.
 * 0: none. */
static uint32_t oldest_ended(const struct store *st, unsigned domain)
{
    uint32_t own = 0, any = 0, end = table_end(st, TABLE_SESSIONS);
    const uint32_t start = (uint32_t)(st->batch % (end ? end : 1));
    for (uint32_t k = 0; k < end && (k < EVICT_SCAN || !own); k++) {
        const uint32_t i = (start + k) % end;
        const struct session_rec *r = table_get(st, TABLE_SESSIONS, i);
        if (!r || !r->ended)
            continue;
        if (ended_before(st, r, any))
            any = i;
        if ((r->who >> WHO_DOMAIN_SHIFT & 0xffff) == domain && ended_before(st, r, own))
            own = i;
    }
    return own ? own : any;
}

static uint32_t session_alloc(struct store *st, unsigned domain)
{
    const uint32_t i = table_alloc(st, TABLE_SESSIONS);
    if (i)
        return i;
    const uint32_t old = oldest_ended(st, domain);
    if (!old)
        return 0;
    session_forget(st, old);
    store_commit(st); /* what a batch frees is reusable from the next one on */
    return table_alloc(st, TABLE_SESSIONS);
}

static uint64_t names_new(struct store *st, const struct session_ask *ask)
{
    char middle[LIMIT_SERVICE + 2];
    const size_t n = ask->instance.n;
    middle[0] = '\0';
    memcpy(middle + 1, n ? ask->instance.p : "", n);
    middle[n + 1] = '\0';
    return text_new(st, ask->service, (struct str){middle, n + 2}, ask->agent);
}

uint32_t session_make(struct store *st, const struct session_ask *ask)
{
    const uint32_t i = session_alloc(st, ask->domain);
    if (!i)
        return 0;
    struct session_rec *r = session_at(st, i);
    memcpy(r->id, ask->id, sizeof r->id);
    r->who = ask->uid | (uint64_t)ask->domain << WHO_DOMAIN_SHIFT;
    r->applied = ask->applied;
    r->serial = (uint32_t)st->batch;
    r->since = ask->now.wall;
    r->names = names_new(st, ask);
    if (r->names && table_insert(st, TABLE_SESSIONS, i, id_hash(st, ask->id)))
        return i;
    if (r->names)
        text_free(st, r->names);
    table_remove(st, TABLE_SESSIONS, i);
    return 0;
}

void session_forget(struct store *st, uint32_t session)
{
    ring_mark_drop_all(st, session);
    text_free(st, session_at(st, session)->names);
    table_remove(st, TABLE_SESSIONS, session);
}

void session_set_ended(struct store *st, uint32_t session, uint64_t at)
{
    struct session_rec *r = session_at(st, session);
    STORE_SET(st, r->ended, at);
    const uint64_t gone = (uint64_t)(SESSION_SILENT | SESSION_LEAVING) << WHO_FLAGS_SHIFT;
    if (at == 0 && r->who & gone)
        STORE_SET(st, r->who, r->who & ~gone);
}

void session_set_silent(struct store *st, uint32_t session)
{
    struct session_rec *r = session_at(st, session);
    STORE_SET(st, r->who, r->who | (uint64_t)SESSION_SILENT << WHO_FLAGS_SHIFT);
}

void session_set_leaving(struct store *st, uint32_t session)
{
    struct session_rec *r = session_at(st, session);
    STORE_SET(st, r->who, r->who | (uint64_t)SESSION_LEAVING << WHO_FLAGS_SHIFT);
}

bool session_is_leaving(const struct store *st, uint32_t session)
{
    return session_at(st, session)->who >> WHO_FLAGS_SHIFT & SESSION_LEAVING;
}
