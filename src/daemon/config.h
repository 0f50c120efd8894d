/* config: the daemon's configuration. Floor 5.
 *
 * Known to this floor only: the rooms below have option structs of their own,
 * which options.c fills.
 *
 * Precedence: defaults, then the environment (destinations alone), then the file, then
 * overrides (-o). Every value in a
 * struct config has passed its checks; strings are never NULL. */
#ifndef MCPTALLY_DAEMON_CONFIG_H
#define MCPTALLY_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config_checks.h"
#include "daemon/config_export.h"
#include "daemon/config_lists.h"
#include "daemon/config_maps.h"
#include "daemon/config_rules.h"
#include "daemon/config_table.h"
#include "daemon/faults.h"

enum config_type {
#define X(type, expected) CONFIG_##type,
    CONFIG_TYPE_TABLE(X)
#undef X
};

enum config_key {
#define X(type, field, key, dflt, least, most, when, help) KEY_##field,
    CONFIG_TABLE(X)
#undef X
        CONFIG_KEYS
};

/* In the order of value_format()'s words. */
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_PLAIN, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

/* The C type of each config type's field. */
#define CONFIG_C_BOOL         bool
#define CONFIG_C_COUNT        uint64_t
#define CONFIG_C_SIZE         uint64_t
#define CONFIG_C_DURATION     uint64_t
#define CONFIG_C_RATIO        double
#define CONFIG_C_MODE         uint64_t
#define CONFIG_C_LEVEL        uint64_t
#define CONFIG_C_TEXT         char *
#define CONFIG_C_PATH         char *
#define CONFIG_C_ADDRESS      char *
#define CONFIG_C_LIST         struct config_list
#define CONFIG_C_MAPPING      struct config_mapping
#define CONFIG_C_RULES        struct config_rules
#define CONFIG_C_SAMPLES      struct config_samples
#define CONFIG_C_PATTERNS     struct config_patterns
#define CONFIG_C_DESTINATIONS struct config_destinations
#define CONFIG_C_CHECKS       struct config_checks
#define CONFIG_C_ACTIONS      struct config_actions
#define CONFIG_C_METRICS      uint64_t
#define CONFIG_C_FORMAT       uint64_t

struct config {
#define X(type, field, key, dflt, least, most, when, help) CONFIG_C_##type field;
    CONFIG_TABLE(X)
#undef X
    struct place set_at[CONFIG_KEYS]; /* where a key was set; at.file NULL: nowhere */
};

/* Whether SIGHUP is enough for a key, or a start is needed. */
enum config_when { CONFIG_RELOAD, CONFIG_RESTART };

/* A row of the table, as data. */
struct config_row {
    const char *key;
    enum config_type type;
    enum config_when when;
    size_t offset; /* of the field in struct config */
    const char *dflt;
    uint64_t least, most; /* both 0: no range */
    const char *help;
};

const struct config_row *config_row(enum config_key key);
const char *config_expected(enum config_type type);

/* Every key at its default. False when memory is out; c is then good for config_fini() only. */
bool config_init(struct config *c, struct faults *f);
void config_fini(struct config *c);

/* Reads a file over what is there. False after faults; c is then good for
 * config_fini() only. `file` must outlive c. */
bool config_read(struct config *c, const char *file, struct faults *f);

/* The same for text that is in memory. */
bool config_parse(struct config *c, const char *file, const void *text, size_t n, struct faults *f);

/* Applies "key=value"; a list's items are separated by commas, one of destinations is
 * YAML in one line. */
bool config_override(struct config *c, const char *assignment, struct faults *f);

/* The destination that the environment asks for, when export.destinations is nowhere set. */
bool config_environment(struct config *c, config_lookup *lookup, struct faults *f);

/* Checks that hold between keys; to be called last. */
bool config_finish(struct config *c, struct faults *f);

/* Moves the values that need a restart from the running configuration a to its
 * successor b, so that what borrows them stays good, and b's to a. Appends the
 * keys that differed, separated by ", "; returns how many. */
unsigned config_keep_fixed(struct config *a, struct config *b, struct buf *names);

#endif
