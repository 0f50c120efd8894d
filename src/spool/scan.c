/* Reads what is on the disk without believing any of it. */
#include <stdio.h>
#include <stdlib.h>

#include "spool/state.h"

enum { CHUNK = 16 << 10 };

void spool_name(char to[SPOOL_NAME], uint64_t name, bool damaged)
{
    snprintf(to, SPOOL_NAME, "%016llx.%s", (unsigned long long)name, damaged ? "damaged" : "spool");
}

/* A file of a segment for reading, owned by the spool: 0 or an error. */
static int open_segment(struct spool *s, const struct segment *g, int *file)
{
    char name[SPOOL_NAME];
    uint64_t size;
    if (s->file >= 0 && g == spool_newest(s)) {
        *file = s->file;
        return 0;
    }
    if (s->read_file < 0 || s->read_name != g->name) {
        if (s->read_file >= 0)
            s->io.close(s->io.arg, s->read_file);
        s->read_file = -1;
        spool_name(name, g->name, false);
        int fd;
        const int r = s->io.open(s->io.arg, name, false, &fd, &size);
        if (r < 0)
            return r;
        s->read_file = fd;
        s->read_name = g->name;
    }
    *file = s->read_file;
    return 0;
}

int scan_begin(struct scan *c, struct spool *s, const struct segment *g, uint64_t at)
{
    *c = (struct scan){.s = s, .g = g, .at = at, .limit = g->size};
    if (s->recovered) { /* what was skipped then is skipped now */
        c->limit = g->used;
        c->last = g->low;
    }
    return open_segment(s, g, &c->file);
}

/* Whether a record can begin here: its head is good and it fits. */
static bool plausible(struct scan *c, const uint8_t *head, uint64_t at)
{
    struct record_head h;
    if (!record_head_read(&h, head, c->g->head.salt) || h.at.seq < c->g->head.first.seq ||
        h.at.seq < c->last || h.at.seq == UINT64_MAX || h.length > c->limit ||
        at + RECORD_HEAD + h.length > c->limit)
        return false;
    c->h = h;
    c->found = at;
    c->last = h.at.seq + 1;
    c->at = at + record_size(h.length);
    return true;
}

/* Bytes that could be read; where none can and that is to be borne, 0. */
static int look(struct scan *c, uint64_t at, void *to, size_t n)
{
    const struct spool_io *io = &c->s->io;
    const int r = io->read(io->arg, c->file, at, to, n);
    if (r >= 0 || !c->tolerant)
        return r;
    c->failed = true;
    return 0;
}

/* Looks at every sector from c->at on. */
static int resync(struct scan *c)
{
    uint8_t chunk[CHUNK];
    for (; c->at + RECORD_HEAD <= c->limit; c->at += CHUNK) {
        const int got = look(c, c->at, chunk, sizeof chunk);
        if (got < 0)
            return got;
        for (unsigned i = 0; i + RECORD_HEAD <= (unsigned)got; i += SEGMENT_SECTOR)
            if (plausible(c, chunk + i, c->at + i))
                return 1;
    }
    return 0;
}

int scan_next(struct scan *c)
{
    uint8_t head[RECORD_HEAD];
    if (c->at + RECORD_HEAD > c->limit)
        return 0;
    const int got = look(c, c->at, head, sizeof head);
    if (got < 0)
        return got;
    return got == RECORD_HEAD && plausible(c, head, c->at) ? 1 : resync(c);
}

int scan_payload(struct scan *c)
{
    struct spool *s = c->s;
    if (s->payload_room < c->h.length || !s->payload) {
        free(s->payload);
        s->payload_room = c->h.length > 4096 ? c->h.length : 4096;
        s->payload = malloc(s->payload_room);
        if (!s->payload) {
            s->payload_room = 0;
            return -ERR_NOMEM;
        }
    }
    const int got = look(c, c->found + RECORD_HEAD, s->payload, c->h.length);
    if (got < 0)
        return got;
    return (uint32_t)got == c->h.length && record_payload_good(&c->h, s->payload);
}
