/* trail: the lines of the audit log, oldest first, over all files that it was rotated to.
 *
 * Beside PATH itself: PATH.1, PATH.2.gz ... and PATH.old. Their order is that of the
 * sequence numbers they begin with. */
#ifndef MCPTALLY_CLI_TRAIL_H
#define MCPTALLY_CLI_TRAIL_H

#include <stdbool.h>
#include <zlib.h>

#include "format/audit_text.h"

enum { TRAIL_FILES = 64, TRAIL_PATH = 4096 };

struct trail_file {
    char path[TRAIL_PATH];
    uint64_t first; /* seq of its first record; 0: it has none */
};

struct trail {
    char path[TRAIL_PATH]; /* of the newest file, which may be written to */
    struct trail_file *files;
    unsigned n, at; /* at: the one that is being read */
    gzFile in;
    unsigned line;  /* number of the line that was handed out, in its file */
    uint64_t inode; /* of the file that is being read */
    size_t have;    /* bytes of a line that has not ended */
    char text[AUDIT_LINE_MAX];
};

/* Finds the files: 0, or -ERR_IO with errno, -ERR_NOMEM, -ERR_RANGE. */
int trail_open(struct trail *t, const char *path);
void trail_close(struct trail *t);

/* The next line, without its end; false when there is none now. The last file is looked at
 * again by a further call, and so is one that has taken its place. A line that is too long
 * is handed out cut, and is no record then. */
bool trail_next(struct trail *t, struct str *line);

/* Path of the file that the line handed out is in. */
const char *trail_file(const struct trail *t);

#endif
