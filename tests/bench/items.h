/* items: what the programs of the bench send that is no update: an item of each kind, of a size
 * as producers make them. */
#ifndef MCPTALLY_TESTS_ITEMS_H
#define MCPTALLY_TESTS_ITEMS_H

#include "talk.h"

enum { ITEM_ATTRS = 3 };

/* The kind of a word: 0 for one that says none. */
static inline enum event_kind item_kind(const char *word)
{
    static const enum event_kind all[] = {EVENT_SPAN, EVENT_NAMED, EVENT_LOG, EVENT_HEALTH};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(word, event_kind_name(all[i])) == 0)
            return all[i];
    return 0;
}

/* The i-th; spans are the roots of traces of their own. */
static inline void item_fill(struct event *e, enum event_kind kind, uint64_t i)
{
    const struct str keys[ITEM_ATTRS] = {STR("mcp.method.name"), STR("gen_ai.tool.name"),
                                         STR("network.transport")};
    const struct str values[ITEM_ATTRS] = {STR("tools/call"), STR("echo"), STR("pipe")};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memset(e, 0, offsetof(struct event, attrs));
    e->kind = kind;
    e->time = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    e->name = kind == EVENT_LOG ? STR("") : STR("bench.item");
    e->text = kind == EVENT_NAMED || kind == EVENT_SPAN ? STR("") : STR("as it should be");
    if (kind == EVENT_LOG)
        e->severity = 9; /* INFO */
    if (kind == EVENT_HEALTH)
        e->state = HEALTH_HEALTHY;
    if (kind == EVENT_NAMED)
        e->nmeasures = 0;
    if (kind != EVENT_SPAN)
        return;
    memset(e->trace.trace_id, 0xAB, sizeof e->trace.trace_id);
    memset(e->trace.span_id, 0xCD, sizeof e->trace.span_id);
    memcpy(e->trace.trace_id + 8, &i, sizeof i);
    memcpy(e->trace.span_id, &i, sizeof i);
    e->nattrs = e->all_attrs = ITEM_ATTRS;
    for (unsigned a = 0; a < ITEM_ATTRS; a++)
        e->attrs[a] = (struct attr){.key = keys[a], .type = ATTR_STRING, .s = values[a]};
    e->end = e->time + 1000000;
    memset(e->parent_id, 0, sizeof e->parent_id);
    e->span_kind = SPAN_SERVER;
    e->status = SPAN_UNSET;
    e->span_flags = 1;
    e->tracestate = STR("");
    e->nevents = e->nlinks = 0;
}

/* A frame of so many of them, appended. */
static inline void put_items(struct talk *t, struct buf *out, enum event_kind kind, uint32_t n)
{
    static struct event e;
    const size_t at = encode_batch(out, kind, t->next);
    for (uint32_t i = 0; i < n; i++) {
        item_fill(&e, kind, t->next + i);
        encode_item(out, &e);
    }
    encode_batch_end(out, at, n);
    if (out->failed)
        die("a frame of items");
    t->next += n;
}

#endif
