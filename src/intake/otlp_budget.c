#include "intake/otlp_budget.h"

#include <assert.h>

void otlp_budget_init(struct otlp_budget *b, uint64_t limit)
{
    *b = (struct otlp_budget){.limit = limit};
    TAILQ_INIT(&b->gathering);
}

static uint64_t room(const struct otlp_budget *b)
{
    return b->limit > b->used ? b->limit - b->used : 0;
}

static void leave(struct otlp_budget *b, struct otlp_hold *h)
{
    if (!h->gathers)
        return;
    TAILQ_REMOVE(&b->gathering, h, link);
    b->gathered -= h->bytes;
    h->gathers = false;
}

static void begin(struct otlp_budget *b, struct otlp_hold *h)
{
    h->order = ++b->begun;
    h->gathers = h->refuse != NULL;
    if (h->gathers)
        TAILQ_INSERT_TAIL(&b->gathering, h, link);
}

/* Has the oldest messages refused that began before this one. */
static bool make_room(struct otlp_budget *b, const struct otlp_hold *h, uint64_t bytes)
{
    const uint64_t own = h->gathers ? h->bytes : 0;
    if (bytes > room(b) + b->gathered - own)
        return false; /* all of them together would not do */
    while (room(b) < bytes) {
        struct otlp_hold *first = TAILQ_FIRST(&b->gathering);
        if (!first || (h->order && first->order >= h->order))
            return false;
        const uint64_t before = b->used;
        first->refuse(first->arg);
        assert(b->used < before);
    }
    return true;
}

bool otlp_budget_hold(struct otlp_budget *b, struct otlp_hold *h, uint64_t bytes)
{
    assert(b->used >= h->bytes);
    if (bytes > h->bytes && !make_room(b, h, bytes - h->bytes))
        return false;
    if (bytes == 0)
        leave(b, h);
    else if (h->order == 0)
        begin(b, h);
    if (h->gathers)
        b->gathered += bytes - h->bytes;
    b->used += bytes - h->bytes;
    if (b->used > b->peak)
        b->peak = b->used;
    h->bytes = bytes;
    if (bytes == 0)
        h->order = 0;
    return true;
}

void otlp_budget_pass(struct otlp_budget *b, struct otlp_hold *from, struct otlp_hold *to)
{
    assert(to->bytes == 0);
    leave(b, from);
    *to = (struct otlp_hold){.bytes = from->bytes, .order = from->order};
    from->bytes = from->order = 0;
}
