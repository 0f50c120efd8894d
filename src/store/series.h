/* series: metrics, and their label sets. Floor 2. For the one writer; all inside
 * the open batch.
 *
 * A series is (metric, canonical label text). When it is idle it expires: its
 * values are gone, and the record goes too unless a connection still holds an id
 * of it; then it is dormant and its next update begins it anew. */
#ifndef MCPTALLY_STORE_SERIES_H
#define MCPTALLY_STORE_SERIES_H

#include "model/metric.h"
#include "store/cells.h"
#include "store/commit.h"

/* Finds or creates a metric by its family name. 0 and its index, -ERR_CONFLICT
 * when a metric of another kind, type or join has the name, or one that would
 * write the same sample name; -ERR_PERM when it is the daemon's own and `own`
 * is false; -ERR_FULL. Help and bounds of the first definition stay. What is
 * defined as the daemon's own becomes so. */
int metric_define(struct store *st, const struct metric_def *def, bool own, uint32_t *out);

/* The same for a producer of a domain, which may have `budget` metrics (0: half of
 * what there is room for): -ERR_FULL above that. */
int metric_define_by(struct store *st, const struct metric_def *def, unsigned domain,
                     uint32_t budget, uint32_t *out);

/* What it takes of its domain's budget; false when nothing. */
struct budget_item;
bool metric_budget(const struct store *st, uint32_t metric, struct budget_item *out);

/* The metric for whose sake metric_define() says -ERR_CONFLICT; 0: none. */
uint32_t metric_in_the_way(const struct store *st, const struct metric_def *def);

/* A connection holds, or lets go of, an id of it. */
void metric_hold(struct store *st, uint32_t metric);
void metric_let_go(struct store *st, uint32_t metric);

/* Removes a metric that is nobody's: without series, ids, or a place in the
 * daemon's own table. False when it stays. */
bool metric_remove(struct store *st, uint32_t metric);

/* Appends the canonical text of labels to `to`: sorted by key, keys with '_' for
 * what Prometheus does not allow and other names for what it reserves, values
 * escaped, empty values left out. When two keys become one the first in order
 * stays. Sorts the labels handed over. */
struct label;
void labels_canonical(struct buf *to, struct label *labels, unsigned n);

/* The same, and the keys as they came in the order of the text, NUL between them, to
 * `keys` (empty before); it stays empty when all of them are as in the text. */
void labels_canonical_keys(struct buf *to, struct buf *keys, struct label *labels, unsigned n);

struct series_ask {
    uint32_t metric;
    struct str labels;   /* canonical, with the service's label in it */
    struct str group;    /* canonical text of the service's label alone */
    struct str keys;     /* of `labels` as they came, by labels_canonical_keys(); may be empty */
    struct str overflow; /* label set of the overflow series */
    unsigned domain;
    unsigned cardinality; /* label sets of one group; 0: no limit */
    unsigned flags;       /* SERIES_PINNED or 0 */
    uint32_t budget;      /* series of the domain; 0: half of what there is room for */
    struct when now;
};

/* The series of a label set, 0 when there is none. */
uint32_t series_find(const struct store *st, uint32_t metric, struct str labels);

/* Finds or creates it. 0; 1 when the limit led to the overflow series; -ERR_FULL. */
int series_make(struct store *st, const struct series_ask *ask, uint32_t *out);

/* The sketch of a series; 0: it has none. */
uint64_t series_sketch(const struct store *st, uint32_t series);

/* What a series, or a group of them, takes of its domain's budget; false when nothing. */
bool series_budget(const struct store *st, uint32_t series, struct budget_item *out);

/* A connection holds, or lets go of, an id of it. */
void series_hold(struct store *st, uint32_t series);
void series_let_go(struct store *st, uint32_t series);

/* Contributions of one joined gauge. They are a list that is walked at every
 * definition: sessions without end would make each new one dearer for all. */
enum { SERIES_PARTS_MAX = 4096 };

/* What an update of the series does, and where: its op, and in *cells the cells;
 * for a joined gauge the contribution of that session, made when missing (0 when
 * the heap is full, or there are SERIES_PARTS_MAX of sessions that are there). */
enum cell_op series_target(struct store *st, uint32_t series, uint32_t session, uint64_t *cells);

/* Marks it updated in this epoch, unless it is; brings a dormant one back. Comes before every
 * update; who has called it need not again as long as store.touch_round stays. */
void series_touch(struct store *st, uint32_t series, enum cell_op op, uint64_t cells,
                  struct when now);

/* As a copy of the store found it. */
void series_set_touched(struct store *st, uint32_t series, uint32_t epoch);

/* The next epoch of the idle clock begins: no series is touched in it yet. */
void series_next_epoch(struct store *st);

/* Epochs since the last update; 0 for a series that never expires. */
uint64_t series_age(const struct store *st, uint32_t series);

/* Whether it never expires. */
void series_pin(struct store *st, uint32_t series, bool pinned);

/* Ends it: true when the record is gone, false when it stays, dormant. */
bool series_expire(struct store *st, uint32_t series);

/* Removes the contributions of sessions that are silent or gone; how many it looked
 * at. */
unsigned series_prune_parts(struct store *st, uint32_t series);

/* Flags of a session, upper bits of session_rec.who. */
enum {
    SESSION_SILENT = 1,  /* ended longer than the grace: its gauge parts do not count */
    SESSION_LEAVING = 2, /* said BYE: forgotten when its last connection ends */
};

enum { WHO_DOMAIN_SHIFT = 32, WHO_FLAGS_SHIFT = 48 };

#endif
