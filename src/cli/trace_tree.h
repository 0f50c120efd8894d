/* trace_tree: the spans of one trace, each under its parent.
 *
 * What a node sees of a trace is seldom all of it: a parent may be in another service, or
 * not have ended yet. Spans whose parent was not seen stand beside the roots, those of one
 * parent together. Ids are chosen by strangers: a span may come twice (the newer counts),
 * or be its own ancestor (the circle is cut at its earliest span). */
#ifndef MCPTALLY_CLI_TRACE_TREE_H
#define MCPTALLY_CLI_TRACE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_span {
    uint8_t id[8], parent[8]; /* parent all zero: a root */
    uint64_t start, end;      /* ns since 1970 */
    size_t record;            /* the caller's; the larger is the newer */

    /* Known after trace_tree_build(). */
    unsigned depth;
    bool orphan;   /* it has a parent, under which it does not stand */
    uint64_t self; /* ns in which none of its children ran */
};

/* Sorts the spans into the order of the tree: a span before its children, siblings by
 * their start, roots before orphans. Returns how many are left when each id is there
 * once; 0 also when memory is out and *n was not 0. */
size_t trace_tree_build(struct trace_span *spans, size_t n);

#endif
