/* tree: one YAML document as a tree with positions. Floor 5.
 *
 * Only what a configuration needs: maps, lists and scalars as text. Anchors,
 * aliases, tags, keys that are no scalars, a second document, the same key
 * twice in one map, depth above TREE_DEPTH, more than TREE_NODES nodes and input
 * above TREE_BYTES are faults. The caller owns the tree. */
#ifndef MCPTALLY_DAEMON_TREE_H
#define MCPTALLY_DAEMON_TREE_H

#include <stdbool.h>

#include "daemon/faults.h"

enum { TREE_DEPTH = 8, TREE_NODES = 16384, TREE_BYTES = 1 << 20 };

enum tree_kind { TREE_SCALAR, TREE_LIST, TREE_MAP };

struct tree_node {
    enum tree_kind kind;
    bool quoted;            /* a scalar in quotes or a block scalar */
    bool blank;             /* a root of which the text has nothing, not even a comment */
    struct place at;        /* of the value; at.file is borrowed from the caller */
    struct place key_at;    /* of the key, for an entry of a map */
    char *key;              /* NULL in a list and at the root */
    char *text;             /* of a scalar */
    struct tree_node *down; /* first entry of a map or list */
    struct tree_node *next; /* next entry of the same one */
};

/* Reads n bytes at `text`. NULL after a fault; an empty document is an empty
 * map. `file` must outlive the tree. */
struct tree_node *tree_parse(const char *file, const void *text, size_t n, struct faults *f);

/* The same from a file. A file that is missing is a fault, too. */
struct tree_node *tree_read(const char *file, struct faults *f);

void tree_free(struct tree_node *n);

/* Whether it stands for nothing: `key:`, `key: ~` or `key: null`. */
bool tree_null(const struct tree_node *n);

/* "a map", "a list", "a value". */
const char *tree_kind_name(const struct tree_node *n);

#endif
