#include "serve/throttle.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"

#define MINUTE (60 * NS_PER_S)

struct window {
    struct client_address who;
    bool used;
    uint32_t count, before; /* requests of this minute, and of the one before it */
    uint64_t since;         /* when this minute began */
};

struct throttle {
    unsigned limit;
    uint64_t secret;
    struct window crowd; /* of those that found no place */
    struct window all[THROTTLE_PLACES];
};

struct throttle *throttle_new(unsigned limit)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (t && getrandom(&t->secret, sizeof t->secret, 0) == sizeof t->secret) {
        t->limit = limit;
        return t;
    }
    free(t);
    return NULL;
}

void throttle_free(struct throttle *t)
{
    free(t);
}

void throttle_set_limit(struct throttle *t, unsigned limit)
{
    t->limit = limit;
}

/* Whether nothing would change if it were new. */
static bool forgettable(const struct window *w, uint64_t now)
{
    return !w->used || now - w->since >= 2 * MINUTE;
}

static struct window *find(struct throttle *t, const struct client_address *who, uint64_t now)
{
    const uint64_t h = hash_bytes(who->bytes, sizeof who->bytes, t->secret + who->v6);
    struct window *room = NULL;
    for (unsigned i = 0; i < THROTTLE_PROBES; i++) {
        struct window *w = &t->all[(h + i) % THROTTLE_PLACES];
        if (w->used && client_address_eq(&w->who, who))
            return w;
        if (!room && forgettable(w, now))
            room = w;
    }
    if (!room)
        return &t->crowd;
    *room = (struct window){.who = *who, .used = true, .since = now};
    return room;
}

static void move_on(struct window *w, uint64_t now)
{
    const uint64_t passed = (now - w->since) / MINUTE;
    if (passed == 0)
        return;
    w->before = passed == 1 ? w->count : 0;
    w->count = 0;
    w->since += passed * MINUTE;
}

/* Requests within the last sixty seconds, those of the minute before taken as evenly spread. */
static uint64_t recent(const struct window *w, uint64_t now)
{
    return w->count + w->before * (MINUTE - (now - w->since)) / MINUTE;
}

/* Seconds until the minute in hand has ended, or until enough of the one before has. */
static unsigned wait_of(const struct throttle *t, const struct window *w, uint64_t now)
{
    uint64_t at = w->since + MINUTE;
    if (w->count < t->limit && w->before)
        at -= MINUTE * (t->limit - 1 - w->count) / w->before;
    const uint64_t ns = at > now ? at - now : 0;
    return (unsigned)(ns / NS_PER_S) + 1;
}

unsigned throttle_ask(struct throttle *t, const struct client_address *from, uint64_t now)
{
    if (t->limit == 0)
        return 0;
    struct window *w = find(t, from, now);
    move_on(w, now);
    if (recent(w, now) >= t->limit)
        return wait_of(t, w, now);
    w->count++;
    return 0;
}
