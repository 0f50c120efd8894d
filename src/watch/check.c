#include "watch/check.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

enum { DEVIATION = 10 }; /* an interval differs by up to a tenth of it, in all */

enum health_state check_state(enum own_result result)
{
    switch (result) {
    case OWN_RESULT_OK:
        return HEALTH_HEALTHY;
    case OWN_RESULT_FAILED:
    case OWN_RESULT_TIMEOUT:
    case OWN_RESULT_UNREACHABLE:
        return HEALTH_UNHEALTHY;
    default:
        return HEALTH_UNKNOWN;
    }
}

static const char *const kind_names[CHECK_KINDS] = {
#define X(sym, word, help) word,
    CHECK_KIND_TABLE(X)
#undef X
};

const char *check_kind_name(unsigned kind)
{
    return kind < CHECK_KINDS ? kind_names[kind] : "unknown";
}

int check_kind_of(const char *word)
{
    for (int k = 0; k < CHECK_KINDS; k++)
        if (strcmp(kind_names[k], word) == 0)
            return k;
    return -1;
}

/* ---- the schedule ---- */

/* A number below `below`, another one each time. */
static uint64_t some(struct check_slot *s, uint64_t below)
{
    s->noise = hash_bytes(&s->noise, sizeof s->noise, s->interval);
    return below ? s->noise % below : 0;
}

void check_schedule_init(struct check_schedule *s, unsigned most)
{
    memset(s, 0, sizeof *s);
    s->most = most;
}

unsigned check_schedule_add(struct check_schedule *s, uint64_t interval, uint64_t noise,
                            uint64_t now)
{
    assert(s->n < CHECK_MAX && interval > 0);
    struct check_slot *slot = &s->slots[s->n];
    *slot = (struct check_slot){.interval = interval, .noise = noise};
    slot->due = now + some(slot, interval < CHECK_SPREAD ? interval : CHECK_SPREAD);
    return s->n++;
}

static struct check_slot *first_due(struct check_schedule *s, uint64_t now)
{
    struct check_slot *first = NULL;
    for (struct check_slot *c = s->slots; c < s->slots + s->n; c++)
        if (!c->running && c->due <= now && (!first || c->due < first->due))
            first = c;
    return first;
}

int check_schedule_begin(struct check_schedule *s, uint64_t now)
{
    struct check_slot *c = s->running < s->most ? first_due(s, now) : NULL;
    if (!c)
        return -1;
    c->running = true;
    c->began = now;
    s->delayed += c->due < s->freed;
    s->running++;
    return (int)(c - s->slots);
}

/* From the turn it had, not from its end: what is slow is not asked less often. Turns that
 * have passed meanwhile are left out. */
void check_schedule_end(struct check_schedule *s, unsigned i, uint64_t now)
{
    struct check_slot *c = &s->slots[i];
    const uint64_t tenth = c->interval / DEVIATION;
    assert(i < s->n && c->running);
    if (s->running == s->most)
        s->freed = now;
    c->running = false;
    s->running--;
    c->due += c->interval - tenth / 2 + some(c, tenth);
    if (c->due <= now)
        c->due = now + some(c, c->interval < CHECK_SPREAD ? c->interval : CHECK_SPREAD);
}

uint64_t check_schedule_wait(const struct check_schedule *s, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    if (s->running >= s->most)
        return UINT64_MAX;
    for (const struct check_slot *c = s->slots; c < s->slots + s->n; c++)
        if (!c->running && c->due < due)
            due = c->due;
    return due == UINT64_MAX ? due : due > now ? due - now : 0;
}

/* ---- results ---- */

struct check_times check_note(struct check_slot *s, enum own_result result, enum health_state from,
                              enum health_state to, uint64_t now)
{
    struct check_times t = {0};
    if (from != HEALTH_UNHEALTHY && to == HEALTH_UNHEALTHY) {
        s->sick = s->sick ? s->sick : now; /* a relapse before it was well is the same illness */
        t.detected = s->good ? now - s->good : 0;
    }
    if (to == HEALTH_HEALTHY && s->sick) {
        t.recovered = now - s->sick;
        s->sick = 0;
    }
    if (result == OWN_RESULT_OK)
        s->good = s->began;
    return t;
}
