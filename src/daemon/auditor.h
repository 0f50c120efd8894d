/* auditor: the file that privileged acts are written to. Floor 5.
 *
 * audit.log in the state directory, lines as format/audit_text.h says, written and synced by
 * the helper. Each act is a log line too, so a file that cannot be written loses none; its
 * records are kept, up to a bound, until it can. */
#ifndef MCPTALLY_DAEMON_AUDITOR_H
#define MCPTALLY_DAEMON_AUDITOR_H

#include "daemon/appender.h"
#include "daemon/logger.h"
#include "daemon/paths.h"
#include "format/audit_text.h"
#include "format/json.h"

enum {
    AUDITOR_TAIL = 16384, /* bytes of the file's end that are looked at */
    AUDITOR_TEXT = 512,   /* bytes of each text of an act, and its NUL */
};

struct auditor_act {
    uint64_t wall;
    struct audit_who who;
    char exe[AUDITOR_TEXT], comm[64], what[64], object[AUDITOR_TEXT], outcome[AUDITOR_TEXT];
};

struct auditor {
    const struct logger *logger; /* whose rules take secrets out */
    char path[PATHS_MAX + 16];
    char user[64]; /* our own name */
    struct appender file;
    uint64_t seq; /* of the newest record, and its hash: they go on from what the file has */
    char hash[AUDIT_HASH];
    bool failing;
    char why[128];
    uint64_t unwritten; /* acts that are in no record: told by one when there is room */
    uint64_t records, failures, lost;
    uint64_t told_records, told_failures, told_lost;
};

/* From here on acts are taken. Reads the end of the file, so nothing may have to be quick
 * yet; waits for the helper of a daemon that was killed, which may still add to it. */
void auditor_init(struct auditor *a, const struct logger *logger, const char *state_dir,
                  const struct config *c);
void auditor_configure(struct auditor *a, const struct config *c);

void auditor_join(struct auditor *a, struct helper *h);

/* Once a second. The caller commits. */
void auditor_tick(struct auditor *a, struct own *own);

void auditor_reopen(struct auditor *a);
void auditor_check(const struct auditor *a, struct verdict *v);

/* As the object of a document: path, seq and hash of the newest record. */
void auditor_doc(const struct auditor *a, struct json_writer *j);

bool auditor_busy(const struct auditor *a);
void auditor_leave(struct auditor *a);
void auditor_fini(struct auditor *a);

#endif
