/* buf: a growable byte buffer with a hard upper bound. Floor 0.
 *
 * Appending past the bound, or when memory is out, sets `failed` and leaves
 * the contents as they were; every later append is ignored until buf_reset().
 * A writer appends freely and tests `failed` once at the end. */
#ifndef MCPTALLY_BASE_BUF_H
#define MCPTALLY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
    char *p;
    size_t n;   /* bytes used */
    size_t cap; /* bytes allocated */
    size_t max; /* bytes it may ever hold */
    bool failed;
    bool starved; /* failed, and memory was out: the bound was not reached */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Empties it and clears `failed` and `starved`; keeps the memory for reuse. */
void buf_reset(struct buf *b);

/* Gives back memory that is not in use. */
void buf_trim(struct buf *b);

/* Memory for n bytes in all, at once and no more than that, where it has less. Without it,
 * appending goes on as ever. */
void buf_reserve(struct buf *b, size_t n);

/* Room for n more bytes, or NULL (and `failed`). The caller writes there and
 * then calls buf_added(). */
char *buf_grow(struct buf *b, size_t n);
static inline char *buf_room(struct buf *b, size_t n)
{
    return !b->failed && n <= b->cap - b->n ? b->p + b->n : buf_grow(b, n);
}
static inline void buf_added(struct buf *b, size_t n)
{
    b->n += n;
}

void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *z);
void buf_addstr(struct buf *b, struct str s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_addu(struct buf *b, uint64_t v); /* decimal */
void buf_addd(struct buf *b, double v);   /* shortest that reads back equal; NaN +Inf -Inf */

/* Removes the first n bytes. */
void buf_drop(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#endif
