/* squeeze: gzip of a text that comes piece by piece. Floor 4. */
#ifndef MCPTALLY_SERVE_SQUEEZE_H
#define MCPTALLY_SERVE_SQUEEZE_H

#include <stdbool.h>

#include "base/buf.h"

struct squeeze;

/* About 260 KiB; NULL when memory is out. */
struct squeeze *squeeze_new(void);
void squeeze_free(struct squeeze *q);

/* Compresses the next piece, or the last, and appends what comes out. A full
 * buffer shows in `to->failed`. Nothing may follow the last piece. */
void squeeze_add(struct squeeze *q, struct str piece, bool last, struct buf *to);

#endif
