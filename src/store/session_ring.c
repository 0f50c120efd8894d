#include "store/session_ring.h"

#include "store/session.h"
#include "store/space.h"

uint64_t ring_mark_find(const struct store *st, uint32_t session, uint32_t stream)
{
    uint64_t at = session_at(st, session)->rings;
    for (int n = 0; at && n < RING_MARKS_MAX; n++, at = ring_mark_at(st, at)->next)
        if (ring_mark_at(st, at)->stream == stream)
            return at;
    return 0;
}

unsigned ring_mark_count(const struct store *st, uint32_t session)
{
    uint64_t at = session_at(st, session)->rings;
    unsigned n = 0;
    for (; at && n < RING_MARKS_MAX; n++)
        at = ring_mark_at(st, at)->next;
    return n;
}

uint64_t ring_mark_make(struct store *st, uint32_t session, const struct ring_mark *from,
                        unsigned limit)
{
    struct session_rec *s = session_at(st, session);
    const uint64_t at = ring_mark_count(st, session) < limit ? heap_alloc(st, RING_MARK_WORDS) : 0;
    if (!at)
        return 0;
    struct ring_mark *m = ring_mark_at(st, at);
    m->stream = from->stream;
    m->position = from->position;
    m->items = from->items;
    STORE_SET(st, m->next, s->rings);
    STORE_SET(st, s->rings, at);
    return at;
}

void ring_mark_drop(struct store *st, uint32_t session, uint32_t stream)
{
    uint64_t *link = &session_at(st, session)->rings;
    for (int n = 0; *link && n < RING_MARKS_MAX; n++) {
        const uint64_t at = *link;
        struct ring_mark *m = ring_mark_at(st, at);
        if (m->stream == stream) {
            STORE_SET(st, *link, m->next);
            heap_free(st, at, RING_MARK_WORDS);
            return;
        }
        link = &m->next;
    }
}

void ring_mark_drop_all(struct store *st, uint32_t session)
{
    struct session_rec *s = session_at(st, session);
    if (!s->rings)
        return;
    (void)heap_free_chain(st, s->rings, RING_MARK_WORDS);
    STORE_SET(st, s->rings, 0);
}
