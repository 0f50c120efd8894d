/* link_runs: where ids in a row lead to counters in a row, one word says where. Floor 3.
 *
 * A producer defines its series one after the other, and the store gives them cells one after
 * the other. Of many series the table of ids does not stay in the processor's caches; a word
 * for each LINK_RUN of them does, and an update then waits for one cache line, not for two. */
#ifndef MCPTALLY_PIPELINE_LINK_RUNS_H
#define MCPTALLY_PIPELINE_LINK_RUNS_H

#include <stdbool.h>
#include <stdint.h>

struct link;
struct link_series;

enum {
    LINK_RUN = 64,        /* ids */
    LINK_RUNS_FROM = 4096 /* ids: fewer are in the first cache anyway */
};

/* Of the ids from k * LINK_RUN on. */
struct link_run {
    uint32_t cells;   /* as link_series.cells of the first; the others follow. 0: not so */
    uint32_t touched; /* ids that are plain, since the round began */
};

struct link_runs {
    struct link_run *run; /* NULL: there are few ids, or there was no memory */
    uint32_t ids;         /* that the link had when its round began */
};

/* A round begins: no id is touched. */
void link_runs_begin(struct link *l);
void link_runs_free(struct link_runs *r);

/* An id was touched; one that was touched is no longer. */
void link_runs_touched(struct link *l, uint32_t id);
void link_runs_forget(struct link *l, uint32_t id);

#endif
