/* audit_text: the lines of the audit log, and the chain that they make. Floor 3.
 *
 * A line is a JSON object: time, seq, prev, who (uid, user, pid, exe or comm; daemon when it
 * was not asked by a peer), what, object, outcome. seq counts up by one; prev is the SHA-256
 * of the line before, without its end, and 64 zeros in the first line of all. So a line
 * that was changed or taken out shows in the next one; what was taken off the end shows
 * only to who knows what the end was. */
#ifndef MCPTALLY_FORMAT_AUDIT_TEXT_H
#define MCPTALLY_FORMAT_AUDIT_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/audit.h"
#include "base/buf.h"

enum { AUDIT_HASH = 65, AUDIT_LINE_MAX = 8192 };

struct audit_record {
    uint64_t seq, wall; /* ns since 1970 */
    struct audit_who who;
    const char *user, *exe, *comm; /* NULL: not known */
    const char *what, *object, *outcome;
    char prev[AUDIT_HASH];
};

void audit_hash(char to[AUDIT_HASH], struct str line);

/* One line with its end; texts are cut so that it is shorter than AUDIT_LINE_MAX. */
void audit_write(struct buf *to, const struct audit_record *r);

/* A line without its end: 0, or -ERR_SYNTAX. The record's texts lie in *doc, which is to be
 * given back with json_decref(). */
int audit_read(struct str line, struct audit_record *out, json_t **doc);

/* ---- the chain ---- */

enum audit_link {
    AUDIT_LINKED,
    AUDIT_REPEATED,   /* the line before once more: a write that was tried again */
    AUDIT_UNREADABLE, /* no line of an audit log */
    AUDIT_BROKEN,     /* a line before it is missing, or was changed */
};

struct audit_chain {
    bool begun;
    uint64_t first, last;  /* seq */
    char hash[AUDIT_HASH]; /* of the newest line */
    uint64_t lines, repeated, unreadable, broken;
};

/* How the next line, without its end, fits to those before. The first one always does. */
enum audit_link audit_chain_add(struct audit_chain *c, struct str line);

#endif
