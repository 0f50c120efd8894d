/* status: the document that `mcptally status --json` shows. Floor 3. */
#ifndef MCPTALLY_FORMAT_STATUS_H
#define MCPTALLY_FORMAT_STATUS_H

#include "base/clock.h"
#include "format/json.h"
#include "format/verdict.h"
#include "pipeline/own.h"
#include "store/store.h"

struct buf;
struct sampling;

enum { STATUS_PORTS_MAX = 8 };

/* One signal on its way to one destination. */
struct status_lane {
    const char *destination, *signal, *breaker, *error; /* error: empty when all is well */
    uint64_t waiting, queued, retries;
    uint64_t outcomes[OWN_OUTCOMES];
    uint64_t spool_records, spool_items, spool_bytes, spool_oldest; /* oldest: wall ns, 0: none */
};

/* What the store does not know. Strings are borrowed; NULL becomes null. */
struct status_info {
    bool running; /* false: the store of a daemon that is gone */
    uint64_t pid;
    const char *version;
    uint64_t started;   /* mono ns */
    const char *config; /* file */
    const char *store_path;
    unsigned nports;
    struct {
        const char *name, *address; /* "metrics", "127.0.0.1:9090"; empty: not listening */
    } ports[STATUS_PORTS_MAX];
    const struct verdict *verdict;
    const struct sampling *sampling; /* NULL: left out */
    unsigned nlanes;
    struct status_lane lanes[OWN_LANES];
    struct json_more more;
};

/* Appends one JSON object, without a line end. */
void status_document(struct buf *to, const struct store *st, const struct status_info *info,
                     struct when now);

#endif
