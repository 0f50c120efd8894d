/* config_maps: lists of maps, sampling.rules and redaction.patterns. Floor 5.
 *
 * The readers replace what is there and add a fault, with its place, for what they do not
 * take; after false the value is good for clearing only. */
#ifndef MCPTALLY_DAEMON_CONFIG_MAPS_H
#define MCPTALLY_DAEMON_CONFIG_MAPS_H

#include "daemon/config_lists.h"
#include "pipeline/pipeline.h"
#include "pipeline/redact.h"
#include "pipeline/sampling.h"

enum { CONFIG_SAMPLES_MAX = 256 };

struct config_samples {
    struct sample_rule *rules; /* borrow from texts */
    size_t n;
    struct config_list texts;
};

bool config_samples_read(struct config_samples *s, const struct tree_node *all, struct faults *f);
void config_samples_clear(struct config_samples *s);

struct config_patterns {
    struct str expressions[REDACT_PATTERNS]; /* borrow from texts */
    size_t n;
    struct config_list texts;
};

bool config_patterns_read(struct config_patterns *p, const struct tree_node *all, struct faults *f);
void config_patterns_clear(struct config_patterns *p);

#endif
