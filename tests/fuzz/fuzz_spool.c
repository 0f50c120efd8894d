/* fuzz_spool: a spool that opens whatever lies in its directory.
 *
 * The input is a few files: a byte says what kind of name, two how long it is, the rest
 * is what is in it; a bit of the first byte has heads and records of the right checksum
 * put where the input wants them, so that what lies behind the checks is met. Nothing
 * may crash, read beyond an end, or go on for ever; what is given back must have been
 * a record, in order; and the spool must take a new one. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "spool/crc32c.h"
#include "spool/segment.h"
#include "spool/spool.h"

enum { FILES = 12, FILE_BYTES = 40000, PATCH = 24, READS = 10000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
    char name[40];
    uint8_t bytes[FILE_BYTES];
    uint64_t size; /* 0: not there */
    bool used;
};

static struct file files[FILES];

/* ---- the disk ---- */

static int find(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (files[i].used && strcmp(files[i].name, name) == 0)
            return i;
    return -ERR_NOTFOUND;
}

static int add(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (!files[i].used) {
            memset(&files[i], 0, sizeof files[i]);
            files[i].used = true;
            snprintf(files[i].name, sizeof files[i].name, "%s", name);
            return i;
        }
    return -ERR_FULL;
}

static int on_create(void *arg, const char *name, uint64_t size, int *file)
{
    (void)arg;
    if (size > FILE_BYTES || find(name) >= 0)
        return -ERR_FULL;
    const int i = add(name);
    if (i < 0)
        return i;
    files[i].size = size;
    *file = i;
    return 0;
}

static int on_open(void *arg, const char *name, bool write, int *file, uint64_t *size)
{
    (void)arg;
    (void)write;
    const int i = find(name);
    if (i < 0)
        return i;
    *file = i;
    *size = files[i].size;
    return 0;
}

static int on_read(void *arg, int file, uint64_t at, void *to, size_t n)
{
    const struct file *f = &files[file];
    (void)arg;
    if (at >= f->size)
        return 0;
    if (n > f->size - at)
        n = f->size - at;
    memcpy(to, f->bytes + at, n);
    return (int)n;
}

static int on_write(void *arg, int file, uint64_t at, const void *p, size_t n)
{
    struct file *f = &files[file];
    (void)arg;
    if (at + n > FILE_BYTES)
        return -ERR_FULL;
    if (n)
        memcpy(f->bytes + at, p, n);
    if (at + n > f->size)
        f->size = at + n;
    return 0;
}

static int on_sync(void *arg, int file)
{
    (void)arg;
    (void)file;
    return 0;
}

static int on_cut(void *arg, int file, uint64_t size)
{
    (void)arg;
    if (size > FILE_BYTES)
        return -ERR_FULL;
    if (size < files[file].size)
        memset(files[file].bytes + size, 0, files[file].size - size);
    files[file].size = size;
    return 0;
}

static void on_close(void *arg, int file)
{
    (void)arg;
    (void)file;
}

static int on_remove(void *arg, const char *name)
{
    (void)arg;
    const int i = find(name);
    if (i < 0)
        return i;
    files[i].used = false;
    return 0;
}

static int on_rename(void *arg, const char *from, const char *to)
{
    const int i = find(from);
    if (i < 0)
        return i;
    on_remove(arg, to);
    snprintf(files[i].name, sizeof files[i].name, "%s", to);
    return 0;
}

static int on_sync_dir(void *arg)
{
    (void)arg;
    return 0;
}

static int on_list(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg)
{
    (void)arg;
    for (int i = 0; i < FILES; i++)
        if (files[i].used)
            each(each_arg, files[i].name);
    return 0;
}

static const struct spool_io io = {
    .create = on_create,
    .open = on_open,
    .read = on_read,
    .write = on_write,
    .sync = on_sync,
    .cut = on_cut,
    .close = on_close,
    .rename = on_rename,
    .remove = on_remove,
    .sync_dir = on_sync_dir,
    .list = on_list,
};

/* ---- what lies there ---- */

static struct point point_of(const uint8_t *p)
{
    return (struct point){get_u16(p), get_u16(p + 2), get_u16(p + 4)};
}

/* A good head, or the good head of a record, made of a few bytes. */
static void patch(struct file *f, const uint8_t *p)
{
    const uint64_t sector = p[1] % (FILE_BYTES / SEGMENT_SECTOR);
    if (p[0] & 1) {
        const struct segment_head h = {.salt = p[0] >> 2,
                                       .turn = p[2],
                                       .first = point_of(p + 3),
                                       .kept = point_of(p + 6),
                                       .sure = point_of(p + 9),
                                       .mark = point_of(p + 12),
                                       .durable = point_of(p + 15)};
        uint8_t *to = f->bytes + (uint64_t)(p[1] % 6) * SEGMENT_TWIN;
        segment_head_write(to, &h);
        return;
    }
    uint8_t *to = f->bytes + sector * SEGMENT_SECTOR;
    const uint32_t length = get_u16(p + 9) % 2000;
    const bool fits = sector * SEGMENT_SECTOR + RECORD_HEAD + length <= FILE_BYTES;
    const struct record_head h = {.salt = p[0] >> 2,
                                  .at = point_of(p + 3),
                                  .kept = point_of(p + 12),
                                  .written = p[18],
                                  .length = p[19] & 1 ? get_u32(p + 20) : length,
                                  .items = p[11],
                                  .payload_sum =
                                      fits ? crc32c(0, to + RECORD_HEAD, length) : get_u32(p + 20)};
    if (sector * SEGMENT_SECTOR + RECORD_HEAD <= FILE_BYTES)
        record_head_write(to, &h);
}

static size_t put_file(const uint8_t *data, size_t size)
{
    char name[40];
    static const char *const forms[] = {"%016x.spool", "%016x.damaged", "%x.spool", "f%015x.spool"};
    snprintf(name, sizeof name, forms[data[0] & 8 ? data[0] >> 6 : 0], data[0] & 7);
    const int i = find(name) >= 0 ? find(name) : add(name);
    if (i < 0)
        return size;
    struct file *f = &files[i];
    size_t n = get_u16(data + 1) % FILE_BYTES;
    f->size = FILE_BYTES - n;
    if (data[0] & 16) {
        n = n % 64 * PATCH;
        n = n > size - 3 ? size - 3 : n;
        for (size_t at = 0; at + PATCH <= n; at += PATCH)
            patch(f, data + 3 + at);
    } else {
        n = n > size - 3 ? size - 3 : n;
        memcpy(f->bytes, data + 3, n);
    }
    return 3 + n;
}

/* ---- what must hold ---- */

static uint64_t read_all(struct spool *s)
{
    struct spool_record r;
    uint64_t seq = 0, n = 0;
    while (spool_read(s, seq, &r) > 0) {
        assert(r.seq >= seq && r.payload.n < FILE_BYTES);
        seq = r.seq + 1;
        n++;
        assert(n < READS);
    }
    return n;
}

static void use(struct spool *s, struct when now)
{
    struct spool_stats st;
    uint64_t seq;
    const uint64_t n = read_all(s);
    spool_stats(s, &st);
    assert(st.records == n);
    if (spool_append(s, 1, 1, STR("new"), now, &seq) == 0 && spool_sync(s) == 0)
        assert(read_all(s) >= 1);
    spool_trim(s, now);
    spool_stats(s, &st);
    if (spool_done(s, st.next) == 0)
        assert(read_all(s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct spool_options o = {.bytes = 120000, .age = NS_PER_S, .segment = 30000};
    const struct when now = {NS_PER_S, 100 * NS_PER_S};
    struct spool *s;
    for (int i = 0; i < FILES; i++)
        files[i].used = false;
    for (size_t at = 0; at + 3 < size;)
        at += put_file(data + at, size - at);
    for (int again = 0; again < 2; again++) {
        if (spool_open(&s, &io, &o, now) < 0)
            return 0;
        use(s, now);
        spool_close(s);
    }
    return 0;
}
