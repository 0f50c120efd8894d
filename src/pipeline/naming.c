#include "pipeline/naming.h"

#include <assert.h>

#include "pipeline/redact.h"
#include "store/read.h"

static const struct label overflow_mark = {{"otel_metric_overflow", 20}, {"true", 4}};

static void redact_labels(struct pipeline *pl, struct label *labels, unsigned n)
{
    for (unsigned i = 0; i < n && pl->redact; i++) {
        const int rule = redact_judge(pl->redact, labels[i].key, labels[i].value);
        if (rule < 0)
            continue;
        labels[i].value = REDACTED;
        own_add(&pl->own, OWN_REDACTED, (unsigned)rule * REDACT_PLACES + REDACT_LABEL, 1);
    }
}

struct str naming_session(const struct pipeline *pl, uint32_t session)
{
    struct session_view s;
    const bool found = session_read(pl->st, session, &s);
    assert(found);
    return s.service;
}

int naming_ask(struct pipeline *pl, struct str service_name, const struct label *labels, unsigned n,
               struct series_ask *ask)
{
    struct label all[LIMIT_LABELS + 1];
    const struct label service = {STR("service_name"), service_name};
    assert(n <= LIMIT_LABELS);
    buf_reset(&pl->labels);
    buf_reset(&pl->keys);
    buf_reset(&pl->group);
    buf_reset(&pl->overflow);

    all[0] = service; /* first: a label of the same name from the producer yields */
    memcpy(all + 1, labels, n * sizeof *labels);
    redact_labels(pl, all + 1, n);
    labels_canonical_keys(&pl->labels, &pl->keys, all, n + 1);

    all[0] = service;
    labels_canonical(&pl->group, all, 1);
    all[0] = service;
    all[1] = overflow_mark;
    labels_canonical(&pl->overflow, all, 2);

    if (pl->labels.starved || pl->keys.starved || pl->group.starved || pl->overflow.starved)
        return -ERR_NOMEM;
    if (pl->labels.failed || pl->group.failed || pl->overflow.failed)
        return -ERR_RANGE;
    ask->labels = buf_str(&pl->labels);
    ask->keys = buf_str(&pl->keys);
    ask->group = buf_str(&pl->group);
    ask->overflow = buf_str(&pl->overflow);
    ask->cardinality = pl->options.cardinality;
    ask->budget = pl->options.series_per_domain;
    return 0;
}
