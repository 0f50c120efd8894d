/* sheet: what `top` shows, taken out of the store at one moment. */
#ifndef MCPTALLY_CLI_SHEET_H
#define MCPTALLY_CLI_SHEET_H

#include "store/read.h"

enum sheet_section {
    SHEET_SERVERS,    /* an MCP server or client, all its operations together */
    SHEET_OPERATIONS, /* one method and tool or prompt of it */
    SHEET_HISTOGRAMS, /* another producer's histogram or summary series */
    SHEET_COUNTERS,   /* another producer's counter series */
    SHEET_SECTIONS
};

enum { SHEET_P50, SHEET_P95, SHEET_P99, SHEET_QUANTILES };

extern const double sheet_quantiles[SHEET_QUANTILES];

struct sheet_row {
    enum sheet_section section;
    bool client;                      /* the operations are what a client answered */
    bool seconds;                     /* values are times */
    struct str service, name, detail; /* name: method or family; detail: tool, prompt or labels */
    char *text;                       /* owns them */
    uint64_t calls;                   /* observations */
    uint64_t errors, cancelled; /* how many of them failed; were withdrawn, which is neither */
    double sum;                 /* of the observations; a counter's value */
    double in_flight;           /* NaN: unknown */
    double quantile[SHEET_QUANTILES]; /* of the last minutes; NaN: not kept */
    unsigned spans;                   /* that they are of, exactly; 0: of a sketch within 1% */
    unsigned nbounds;
    double *bounds;    /* nbounds of them, and behind them */
    uint64_t *buckets; /* nbounds + 1; NULL for a counter or summary */
};

struct sheet {
    uint64_t mono, wall;    /* ns, when it was taken */
    struct sheet_row *rows; /* sorted by section, service, name, detail */
    size_t n, room;
    uint64_t left_out; /* series for which there was no room */
    /* Of the daemon, from its own metrics. */
    uint64_t received, applied, dropped, sessions;
};

enum { SHEET_ROWS_MAX = 20000 };

/* Takes one; `own` includes the metrics of the daemon and of the wrapper about
 * themselves. 0 or -ERR_NOMEM. */
int sheet_take(struct sheet *s, const struct store *st, struct when now, bool own);
void sheet_fini(struct sheet *s);

/* By section, service, side, name and detail. */
int sheet_row_compare(const struct sheet_row *a, const struct sheet_row *b);

#endif
