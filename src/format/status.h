/* status: the document that `mcptally status --json` shows. Floor 3. */
#ifndef MCPTALLY_FORMAT_STATUS_H
#define MCPTALLY_FORMAT_STATUS_H

#include "base/clock.h"
#include "format/verdict.h"
#include "store/store.h"

struct buf;
struct sampling;

enum { STATUS_PORTS_MAX = 8 };

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
};

/* Appends one JSON object, without a line end. */
void status_document(struct buf *to, const struct store *st, const struct status_info *info,
                     struct when now);

#endif
