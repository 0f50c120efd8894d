#include "cli/trace_tree.h"

#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

struct node {
    size_t parent, child, next; /* indexes; children by their start */
    bool placed;
};

struct tree {
    struct trace_span *spans; /* by id */
    struct trace_span *out;
    struct node *nodes;
    size_t *by_start; /* indexes */
    size_t n, placed;
};

static int compare_ids(const void *va, const void *vb)
{
    const struct trace_span *a = va, *b = vb;
    const int c = memcmp(a->id, b->id, sizeof a->id);
    return c ? c : (a->record < b->record) - (a->record > b->record); /* the newest first */
}

static size_t without_twins(struct trace_span *spans, size_t n)
{
    size_t kept = 0;
    qsort(spans, n, sizeof *spans, compare_ids);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || memcmp(spans[i].id, spans[kept - 1].id, sizeof spans[i].id) != 0)
            spans[kept++] = spans[i];
    return kept;
}

static int compare_starts(const void *va, const void *vb, void *arg)
{
    const struct trace_span *spans = arg, *a = &spans[*(const size_t *)va],
                            *b = &spans[*(const size_t *)vb];
    const int c = (a->start > b->start) - (a->start < b->start);
    return c ? c : (a->record > b->record) - (a->record < b->record);
}

static bool has_parent(const struct trace_span *s)
{
    static const uint8_t zero[sizeof s->parent];
    return memcmp(s->parent, zero, sizeof zero) != 0;
}

static size_t find(const struct tree *t, const uint8_t id[8])
{
    size_t low = 0, high = t->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(t->spans[middle].id, id, sizeof t->spans->id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n && memcmp(t->spans[low].id, id, sizeof t->spans->id) == 0 ? low : NONE;
}

/* Hangs each span under its parent; the last comes first, so that lists are by start. */
static void hang(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        t->nodes[i] = (struct node){NONE, NONE, NONE, false};
    for (size_t k = t->n; k-- > 0;) {
        const size_t i = t->by_start[k];
        const size_t parent = has_parent(&t->spans[i]) ? find(t, t->spans[i].parent) : NONE;
        t->nodes[i].parent = parent;
        if (parent == NONE)
            continue;
        t->nodes[i].next = t->nodes[parent].child;
        t->nodes[parent].child = i;
    }
}

/* Time of a span that no child covers; its children are in the order of their starts. */
static uint64_t self_time(const struct tree *t, size_t i)
{
    const struct trace_span *s = &t->spans[i];
    uint64_t at = s->start, self = 0;
    for (size_t c = t->nodes[i].child; c != NONE && at < s->end; c = t->nodes[c].next) {
        const uint64_t from = t->spans[c].start < s->end ? t->spans[c].start : s->end;
        if (from > at)
            self += from - at;
        if (t->spans[c].end > at)
            at = t->spans[c].end;
    }
    return s->end > at ? self + (s->end - at) : self;
}

static void place(struct tree *t, size_t i, unsigned depth, bool orphan)
{
    struct trace_span *to = &t->out[t->placed++];
    *to = t->spans[i];
    to->depth = depth;
    to->orphan = orphan;
    to->self = self_time(t, i);
    t->nodes[i].placed = true;
}

/* Places a span and all below it: down, along, and up again, without recursion. */
static void place_all(struct tree *t, size_t top, bool orphan)
{
    size_t i = top;
    unsigned depth = 0;
    place(t, i, 0, orphan);
    for (;;) {
        size_t next = t->nodes[i].child;
        unsigned below = depth + 1;
        while (next == NONE || t->nodes[next].placed) {
            if (next != NONE) { /* where a circle was cut */
                next = t->nodes[next].next;
                continue;
            }
            if (i == top)
                return;
            next = t->nodes[i].next;
            i = t->nodes[i].parent;
            below = depth--;
        }
        i = next;
        depth = below;
        place(t, i, depth, false);
    }
}

/* Orphans of one parent together: by when the first of them began. */
static void place_orphans(struct tree *t, size_t k)
{
    const uint8_t *parent = t->spans[t->by_start[k]].parent;
    for (; k < t->n; k++) {
        const size_t i = t->by_start[k];
        if (!t->nodes[i].placed && t->nodes[i].parent == NONE &&
            memcmp(t->spans[i].parent, parent, sizeof t->spans->parent) == 0)
            place_all(t, i, true);
    }
}

static void place_everything(struct tree *t)
{
    for (size_t k = 0; k < t->n; k++)
        if (!has_parent(&t->spans[t->by_start[k]]))
            place_all(t, t->by_start[k], false);
    for (size_t k = 0; k < t->n; k++)
        if (!t->nodes[t->by_start[k]].placed && t->nodes[t->by_start[k]].parent == NONE)
            place_orphans(t, k);
    for (size_t k = 0; k < t->n; k++) /* what is left goes in circles */
        if (!t->nodes[t->by_start[k]].placed)
            place_all(t, t->by_start[k], true);
}

size_t trace_tree_build(struct trace_span *spans, size_t n)
{
    struct tree t = {.spans = spans, .n = without_twins(spans, n)};
    t.out = calloc(t.n + 1, sizeof *t.out);
    t.nodes = calloc(t.n + 1, sizeof *t.nodes);
    t.by_start = calloc(t.n + 1, sizeof *t.by_start);
    if (t.out && t.nodes && t.by_start) {
        for (size_t i = 0; i < t.n; i++)
            t.by_start[i] = i;
        qsort_r(t.by_start, t.n, sizeof *t.by_start, compare_starts, spans);
        hang(&t);
        place_everything(&t);
        memcpy(spans, t.out, t.placed * sizeof *spans);
    }
    free(t.out);
    free(t.nodes);
    free(t.by_start);
    return t.placed;
}
