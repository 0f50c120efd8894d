/* expanse: room for one long text that grows without being moved. Floor 4.
 *
 * Address space for the most it may become is taken at once, memory as it is written. Fresh
 * memory is what a page of metrics costs most: 1.1 us for each 4 KiB of it, five times what
 * writing text there takes. So the first part is of small pages, for most texts are short, and
 * what is behind it of huge ones where the kernel has them (22 us for a MiB), and a text's
 * memory can be used again for the next one. */
#ifndef MCPTALLY_SERVE_EXPANSE_H
#define MCPTALLY_SERVE_EXPANSE_H

#include "base/buf.h"

struct expanse {
    void *map; /* NULL: there is none */
    size_t size;
    bool huge;       /* asks for huge pages */
    struct buf text; /* in the map, full at its end; not for buf_fini() and buf_trim() */
};

/* Room for `max` bytes, or as much of it as there is address space for. False when there is
 * none to speak of. One that may not become large has small pages only. */
bool expanse_init(struct expanse *e, size_t max);

/* Gives all of it back; one that is zero is left alone. */
void expanse_fini(struct expanse *e);

/* Memory that the text takes, at most. */
size_t expanse_bytes(const struct expanse *e);

/* Empties the text, and gives back memory above about `keep` bytes. */
void expanse_reset(struct expanse *e, size_t keep);

#endif
