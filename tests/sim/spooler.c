#include "spooler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void spooler_init(struct spooler *s, struct rng *rng)
{
    *s = (struct spooler){.rng = rng, .next = 1};
}

static void take_first(struct spooler *s)
{
    free(s->records[0].bytes);
    memmove(s->records, s->records + 1, --s->n * sizeof *s->records);
}

void spooler_fini(struct spooler *s)
{
    while (s->n)
        take_first(s);
    for (unsigned i = 0; i < s->nasked; i++)
        free(s->asked[i].bytes);
}

static char *copy(struct str s)
{
    char *p = malloc(s.n ? s.n : 1);
    assert(p);
    memcpy(p, s.p ? s.p : "", s.n);
    return p;
}

void spooler_ask(struct spooler *s, enum spooler_op op, uint64_t seq, uint32_t items,
                 struct str payload)
{
    assert(s->nasked < sizeof s->asked / sizeof *s->asked);
    s->asked[s->nasked++] = (struct spooler_ask){op, seq, items, copy(payload), payload.n};
}

static struct spool_stats stats(const struct spooler *s)
{
    struct spool_stats st = {.first = s->n ? s->records[0].seq : s->next, .next = s->next};
    for (unsigned i = 0; i < s->n; i++) {
        st.items += s->records[i].items;
        st.bytes += s->records[i].n;
    }
    st.records = s->n;
    st.oldest = s->n ? s->records[0].written : 0;
    memcpy(st.dropped_items, s->dropped, sizeof s->dropped);
    return st;
}

void spooler_trim(struct spooler *s, unsigned reason)
{
    if (s->n == 0 || !s->open)
        return;
    s->lost(s->arg, (struct str){s->records[0].bytes, s->records[0].n});
    s->dropped[reason] += s->records[0].items;
    take_first(s);
}

/* Does it: 0 or an error. */
static int perform(struct spooler *s, const struct spooler_ask *a, struct when now)
{
    if (s->unreadable && a->op != OP_APPEND)
        return -ERR_IO;
    if (a->op == OP_APPEND) {
        if (s->no_room || s->n == SPOOLER_RECORDS)
            return -ERR_FULL;
        s->records[s->n++] = (struct spooler_record){s->next++, now.wall, a->items,
                                                     copy((struct str){a->bytes, a->n}), a->n};
    }
    if (a->op == OP_FINISH)
        while (s->n && s->records[0].seq < a->seq)
            take_first(s);
    if (a->op == OP_OPEN) {
        memset(s->dropped, 0, sizeof s->dropped);
        s->open = true;
    }
    return 0;
}

static void answer_read(struct spooler *s, struct lane *l, uint64_t seq, int error,
                        const struct spool_stats *st, struct when now)
{
    struct spool_record r = {0};
    for (unsigned i = 0; i < s->n && !r.seq; i++)
        if (s->records[i].seq >= seq)
            r = (struct spool_record){.seq = s->records[i].seq,
                                      .written = s->records[i].written,
                                      .items = s->records[i].items,
                                      .signal = (uint8_t)l->signal,
                                      .payload = {s->records[i].bytes, s->records[i].n}};
    lane_spool_was_read(l, error, &r, st, now);
}

static void answer(struct spooler *s, struct lane *l, const struct spooler_ask *a, int error,
                   struct when now)
{
    const struct spool_stats known = stats(s), *st = error ? NULL : &known;
    if (a->op == OP_OPEN)
        lane_spool_opened(l, error, st, now);
    else if (a->op == OP_APPEND)
        lane_spool_kept(l, error, st, now);
    else if (a->op == OP_READ)
        answer_read(s, l, a->seq, error, st, now);
    else
        lane_spool_finished(l, error, st, now);
}

static struct spooler_ask first_asked(struct spooler *s)
{
    const struct spooler_ask a = s->asked[0];
    memmove(s->asked, s->asked + 1, --s->nasked * sizeof a);
    return a;
}

void spooler_work(struct spooler *s, struct lane *l, struct when now)
{
    if (s->nasked == 0)
        return;
    const struct spooler_ask a = first_asked(s);
    const int error = perform(s, &a, now);
    free(a.bytes); /* the answer may be the end of the daemon */
    answer(s, l, &a, error, now);
}

void spooler_die(struct spooler *s, struct lane *l, struct when now)
{
    const unsigned done = rng_below(s->rng, s->nasked + 1);
    const unsigned n = s->nasked;
    for (unsigned i = 0; i < n; i++) {
        const struct spooler_ask a = first_asked(s);
        if (i < done)
            (void)perform(s, &a, now);
        if (l)
            answer(s, l, &a, -ERR_CLOSED, now);
        free(a.bytes);
    }
    s->open = false;
}
