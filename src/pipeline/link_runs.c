#include "pipeline/link_runs.h"

#include <stdlib.h>

#include "pipeline/apply.h"
#include "pipeline/link.h"

void link_runs_free(struct link_runs *r)
{
    free(r->run);
    *r = (struct link_runs){0};
}

void link_runs_begin(struct link *l)
{
    link_runs_free(&l->runs);
    l->runs.ids = l->nseries;
    if (l->nseries >= LINK_RUNS_FROM)
        l->runs.run = calloc(l->nseries / LINK_RUN + 1, sizeof *l->runs.run);
}

static bool in_a_row(const struct link_series *s)
{
    for (uint32_t i = 0; i < LINK_RUN; i++)
        if ((s[i].target & LINK_PLAIN) != LINK_PLAIN || s[i].cells != s->cells + i)
            return false;
    return true;
}

void link_runs_touched(struct link *l, uint32_t id)
{
    struct link_run *r = l->runs.run ? l->runs.run + id / LINK_RUN : NULL;
    if (!r || ++r->touched < LINK_RUN)
        return;
    const struct link_series *first = l->series + id / LINK_RUN * LINK_RUN;
    r->cells = in_a_row(first) ? first->cells : 0;
}

void link_runs_forget(struct link *l, uint32_t id)
{
    if (!l->runs.run || !(l->series[id].target & LINK_TOUCHED))
        return;
    struct link_run *r = l->runs.run + id / LINK_RUN;
    r->touched--;
    r->cells = 0;
}
