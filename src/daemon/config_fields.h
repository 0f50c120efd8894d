/* config_fields: maps of which each key is a member of a struct. Floor 5. */
#ifndef MCPTALLY_DAEMON_CONFIG_FIELDS_H
#define MCPTALLY_DAEMON_CONFIG_FIELDS_H

#include "daemon/config_lists.h"

enum field_type {
    FIELD_TEXT,     /* char *, freed before it is set */
    FIELD_BOOL,     /* bool */
    FIELD_COUNT,    /* uint64_t, and those below */
    FIELD_SIZE,     /* bytes */
    FIELD_DURATION, /* ns */
    FIELD_LIST,     /* struct config_list; one text stands for a list of one */
    FIELD_MAP,      /* two of them in a row: keys, and values */
    FIELD_OTHER,    /* a function reads it */
};

enum { CONFIG_FIELDS_MAX = 32 };

struct config_field {
    const char *key;
    enum field_type type;
    size_t offset;
    uint64_t least, most; /* of a number */
    bool (*read)(void *entry, const struct tree_node *n, struct faults *f);
    unsigned kinds; /* mask of the kinds of entries that may have it; 0: all */
};

/* Reads `map` into `entry`; set_at[i] becomes where the i-th field was set. `what` names such a
 * map in faults: "a check". */
bool config_fields_read(void *entry, const struct tree_node *map, const char *what,
                        const struct config_field *fields, unsigned n, struct place *set_at,
                        struct faults *f);

/* After that: every field that is set may be there in an entry of this kind. */
bool config_fields_fit(const struct config_field *fields, unsigned n, const struct place *set_at,
                       unsigned kind, const char *kind_name, struct faults *f);

void config_fields_clear(void *entry, const struct config_field *fields, unsigned n);

/* Adds a fault that quotes what was there instead; false. */
bool config_fields_bad(const struct tree_node *n, const char *expected, struct faults *f);

#endif
