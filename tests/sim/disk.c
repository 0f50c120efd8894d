#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "spool/segment.h"

/* The reader of heads and records has no argument for it. */
static bool credulous;

bool sim_spool_believes(bool good)
{
    return good || credulous;
}

const char *disk_mutant_name(enum disk_mutant m)
{
    static const char *const names[] = {
#define X(sym, word) word,
        DISK_MUTANT_TABLE(X)
#undef X
    };
    return names[m];
}

/* ---- names ---- */

static int find(const struct disk_name *names, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i].name, name) == 0)
            return (int)i;
    return -1;
}

static void put(struct disk_name *names, unsigned *n, const char *name, int file)
{
    int i = find(names, *n, name);
    if (i < 0) {
        assert(*n < DISK_NAMES && strlen(name) < sizeof names->name);
        i = (int)(*n)++;
        memcpy(names[i].name, name, strlen(name) + 1);
    }
    names[i].file = file;
}

static bool take(struct disk_name *names, unsigned *n, const char *name, int *file)
{
    const int i = find(names, *n, name);
    if (i < 0)
        return false;
    *file = names[i].file;
    names[i] = names[--*n];
    return true;
}

static void change(struct disk_name *names, unsigned *n, const struct disk_change *c)
{
    int file;
    if (c->kind == DISK_CREATE)
        put(names, n, c->a.name, c->a.file);
    else if (take(names, n, c->a.name, &file) && c->kind == DISK_RENAME)
        put(names, n, c->to, file);
}

static void note(struct disk *d, struct disk_change c)
{
    if (d->npending == DISK_PENDING) { /* the kernel does not wait for ever */
        change(d->durable, &d->ndurable, &d->pending[0]);
        memmove(d->pending, d->pending + 1, --d->npending * sizeof *d->pending);
    }
    d->pending[d->npending++] = c;
    change(d->live, &d->nlive, &c);
}

/* ---- files ---- */

static bool is_named(const struct disk_name *names, unsigned n, int file)
{
    for (unsigned i = 0; i < n; i++)
        if (names[i].file == file)
            return true;
    return false;
}

static void collect(struct disk *d)
{
    for (int i = 0; i < DISK_INODES; i++) {
        struct disk_file *f = &d->files[i];
        bool wanted = is_named(d->live, d->nlive, i) || is_named(d->durable, d->ndurable, i);
        for (int k = 0; k < DISK_OPEN; k++)
            wanted |= d->open[k] == i;
        for (unsigned k = 0; k < d->npending; k++)
            wanted |= d->pending[k].kind == DISK_CREATE && d->pending[k].a.file == i;
        if (!f->used || wanted)
            continue;
        free(f->live);
        free(f->durable);
        free(f->dirty);
        *f = (struct disk_file){0};
    }
}

static uint64_t sectors(uint64_t bytes)
{
    return (bytes + DISK_SECTOR - 1) / DISK_SECTOR;
}

static void grow(struct disk_file *f, uint64_t room)
{
    room = sectors(room) * DISK_SECTOR;
    if (room <= f->room)
        return;
    f->live = realloc(f->live, room);
    f->durable = realloc(f->durable, room);
    f->dirty = realloc(f->dirty, sectors(room));
    assert(f->live && f->durable && f->dirty);
    memset(f->live + f->room, 0, room - f->room);
    memset(f->durable + f->room, 0, room - f->room);
    memset(f->dirty + sectors(f->room), 0, sectors(room) - sectors(f->room));
    f->room = room;
}

static int new_file(struct disk *d)
{
    for (int i = 0; i < DISK_INODES; i++)
        if (!d->files[i].used) {
            d->files[i] = (struct disk_file){.used = true};
            return i;
        }
    collect(d);
    for (int i = 0; i < DISK_INODES; i++)
        if (!d->files[i].used) {
            d->files[i] = (struct disk_file){.used = true};
            return i;
        }
    abort();
}

static uint64_t in_use(const struct disk *d)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < d->nlive; i++)
        sum += d->files[d->live[i].file].size;
    return sum;
}

static void set_size(struct disk_file *f, uint64_t size)
{
    grow(f, size);
    if (size < f->size)
        for (uint64_t at = size; at < f->size; at++)
            f->live[at] = 0;
    for (uint64_t k = size / DISK_SECTOR; size < f->size && k < sectors(f->size); k++)
        f->dirty[k] = 1;
    f->size = size;
}

static void write_live(struct disk_file *f, uint64_t at, const uint8_t *p, size_t n)
{
    if (n == 0)
        return;
    grow(f, at + n);
    memcpy(f->live + at, p, n);
    for (uint64_t k = at / DISK_SECTOR; k <= (at + n - 1) / DISK_SECTOR; k++)
        f->dirty[k] = 1;
    if (at + n > f->size)
        f->size = at + n;
    if (f->synced && at >= SEGMENT_BLOCK && at < SEGMENT_DATA)
        f->marked = true;
}

static void persist(struct disk_file *f, uint64_t k)
{
    memcpy(f->durable + k * DISK_SECTOR, f->live + k * DISK_SECTOR, DISK_SECTOR);
    f->dirty[k] = 0;
}

/* ---- what goes wrong ---- */

enum call { DONE, FAILED, LAST };

/* Whether a call is done, fails, or is the last before the crash. */
static enum call begin(struct disk *d)
{
    d->calls++;
    if (d->frozen)
        return FAILED;
    if (d->doom && --d->doom == 0)
        return LAST;
    if (rng_chance(d->rng, d->fault)) {
        d->faults++;
        return FAILED;
    }
    return DONE;
}

static int freeze(struct disk *d)
{
    d->frozen = true;
    return -ERR_IO;
}

static int on_create(void *arg, const char *name, uint64_t size, int *file)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c == FAILED)
        return -ERR_IO;
    if (d->read_only)
        return -ERR_PERM;
    if (find(d->live, d->nlive, name) >= 0)
        return -ERR_IO;
    if (in_use(d) + size > d->room)
        return -ERR_FULL;
    for (int k = 0; k < DISK_OPEN; k++) {
        if (d->open[k] >= 0)
            continue;
        const int i = new_file(d);
        set_size(&d->files[i], size);
        struct disk_change made = {.kind = DISK_CREATE, .a.file = i};
        memcpy(made.a.name, name, strlen(name) + 1);
        note(d, made);
        if (c == LAST)
            return freeze(d);
        d->open[k] = i;
        *file = k;
        return 0;
    }
    abort(); /* a descriptor leak */
}

static int on_open(void *arg, const char *name, bool write, int *file, uint64_t *size)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c != DONE)
        return c == LAST ? freeze(d) : -ERR_IO;
    if (write && d->read_only)
        return -ERR_PERM;
    const int i = find(d->live, d->nlive, name);
    if (i < 0)
        return -ERR_NOTFOUND;
    for (int k = 0; k < DISK_OPEN; k++)
        if (d->open[k] < 0) {
            d->open[k] = d->live[i].file;
            *file = k;
            *size = d->files[d->open[k]].size;
            return 0;
        }
    abort();
}

static struct disk_file *file_of(struct disk *d, int file)
{
    assert(file >= 0 && file < DISK_OPEN && d->open[file] >= 0);
    return &d->files[d->open[file]];
}

static int on_read(void *arg, int file, uint64_t at, void *to, size_t n)
{
    struct disk *d = arg;
    const struct disk_file *f = file_of(d, file);
    const enum call c = begin(d);
    if (c != DONE)
        return c == LAST ? freeze(d) : -ERR_IO;
    if (at >= f->size)
        return 0;
    if (n > f->size - at)
        n = f->size - at;
    memcpy(to, f->live + at, n);
    return (int)n;
}

/* A write that fails, or is the last, may have been done in part. */
static int on_write(void *arg, int file, uint64_t at, const void *p, size_t n)
{
    struct disk *d = arg;
    struct disk_file *f = file_of(d, file);
    const enum call c = begin(d);
    if (d->frozen)
        return -ERR_IO;
    if (d->read_only)
        return -ERR_PERM;
    if (c == DONE) {
        write_live(f, at, p, n);
        return 0;
    }
    write_live(f, at, p, n ? rng_below(d->rng, (uint32_t)n + 1) : 0);
    return c == LAST ? freeze(d) : -ERR_IO;
}

static int on_sync(void *arg, int file)
{
    struct disk *d = arg;
    struct disk_file *f = file_of(d, file);
    const enum call c = begin(d);
    if (d->frozen)
        return -ERR_IO;
    if (c == DONE &&
        (d->mutant == DISK_MUTANT_SYNC || (d->mutant == DISK_MUTANT_MARK && f->marked))) {
        f->marked = false;
        return 0;
    }
    f->marked = false;
    f->synced = true;
    for (uint64_t k = 0; k < sectors(f->room); k++) {
        if (f->dirty[k] != 1)
            continue;
        if (c == DONE || rng_chance(d->rng, 50))
            persist(f, k);
        else if (c == FAILED)
            f->dirty[k] = 2;
    }
    if (c == DONE || rng_chance(d->rng, 50))
        f->durable_size = f->size;
    return c == DONE ? 0 : c == LAST ? freeze(d) : -ERR_IO;
}

static int on_cut(void *arg, int file, uint64_t size)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c == FAILED)
        return -ERR_IO;
    if (d->read_only)
        return -ERR_PERM;
    set_size(file_of(d, file), size);
    return c == LAST ? freeze(d) : 0;
}

static void on_close(void *arg, int file)
{
    struct disk *d = arg;
    (void)file_of(d, file);
    d->open[file] = -1;
}

static int on_rename(void *arg, const char *from, const char *to)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c == FAILED)
        return -ERR_IO;
    if (d->read_only)
        return -ERR_PERM;
    if (find(d->live, d->nlive, from) < 0)
        return -ERR_NOTFOUND;
    struct disk_change made = {.kind = DISK_RENAME};
    memcpy(made.a.name, from, strlen(from) + 1);
    memcpy(made.to, to, strlen(to) + 1);
    note(d, made);
    return c == LAST ? freeze(d) : 0;
}

static int on_remove(void *arg, const char *name)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c == FAILED)
        return -ERR_IO;
    if (d->read_only)
        return -ERR_PERM;
    if (find(d->live, d->nlive, name) < 0)
        return -ERR_NOTFOUND;
    struct disk_change made = {.kind = DISK_REMOVE};
    memcpy(made.a.name, name, strlen(name) + 1);
    note(d, made);
    return c == LAST ? freeze(d) : 0;
}

static bool same_name(const struct disk_change *a, const struct disk_change *b)
{
    return strcmp(a->a.name, b->a.name) == 0 || strcmp(a->to, b->a.name) == 0;
}

/* One becomes durable, and what was waiting about that name before is history. */
static void settle(struct disk *d, unsigned *left, const struct disk_change *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < *left; i++)
        if (!same_name(p, &d->pending[i]))
            d->pending[n++] = d->pending[i];
    *left = n;
    change(d->durable, &d->ndurable, p);
}

static int on_sync_dir(void *arg)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (d->frozen)
        return -ERR_IO;
    if (d->mutant == DISK_MUTANT_SYNC_DIR && c == DONE)
        return 0;
    unsigned left = 0;
    for (unsigned i = 0; i < d->npending; i++) {
        struct disk_change p = d->pending[i];
        if (c == DONE || rng_chance(d->rng, 50))
            settle(d, &left, &p);
        else
            d->pending[left++] = p;
    }
    d->npending = left;
    return c == DONE ? 0 : c == LAST ? freeze(d) : -ERR_IO;
}

static int on_list(void *arg, void (*each)(void *each_arg, const char *name), void *each_arg)
{
    struct disk *d = arg;
    const enum call c = begin(d);
    if (c != DONE)
        return c == LAST ? freeze(d) : -ERR_IO;
    for (unsigned i = 0; i < d->nlive; i++)
        each(each_arg, d->live[i].name);
    each(each_arg, ".");
    return 0;
}

void disk_io(struct disk *d, struct spool_io *io)
{
    *io = (struct spool_io){
        .arg = d,
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
}

/* ---- crashes ---- */

static void lose_power(struct disk *d)
{
    const uint32_t share = rng_below(d->rng, 5) * 25;
    for (int i = 0; i < DISK_INODES; i++) {
        struct disk_file *f = &d->files[i];
        for (uint64_t k = 0; f->used && k < sectors(f->room); k++)
            if (f->dirty[k] == 1 && rng_chance(d->rng, share))
                persist(f, k);
        if (rng_chance(d->rng, share))
            f->durable_size = f->size;
        if (f->used) {
            memcpy(f->live, f->durable, f->room);
            memset(f->dirty, 0, sectors(f->room));
            f->size = f->durable_size;
        }
    }
    for (unsigned i = 0; i < d->npending; i++)
        if (rng_chance(d->rng, share))
            change(d->durable, &d->ndurable, &d->pending[i]);
    memcpy(d->live, d->durable, sizeof d->live);
    d->nlive = d->ndurable;
    d->npending = 0;
}

void disk_crash(struct disk *d, bool power)
{
    for (int k = 0; k < DISK_OPEN; k++)
        d->open[k] = -1;
    if (power)
        lose_power(d);
    d->frozen = false;
    d->doom = 0;
    collect(d);
}

/* ---- hands on it ---- */

struct disk_file *disk_file(struct disk *d, unsigned i)
{
    return &d->files[d->live[i].file];
}

void disk_unlink(struct disk *d, unsigned i)
{
    struct disk_change gone = {.kind = DISK_REMOVE};
    memcpy(gone.a.name, d->live[i].name, sizeof gone.a.name);
    change(d->live, &d->nlive, &gone);
    settle(d, &d->npending, &gone);
    collect(d);
}

bool disk_put(struct disk *d, const char *name, const void *p, uint64_t n)
{
    if (d->nlive > DISK_NAMES / 2)
        return false;
    const int i = new_file(d);
    struct disk_file *f = &d->files[i];
    write_live(f, 0, p, n);
    for (uint64_t k = 0; k < sectors(f->room); k++)
        persist(f, k);
    f->durable_size = f->size;
    put(d->live, &d->nlive, name, i);
    put(d->durable, &d->ndurable, name, i);
    collect(d);
    return true;
}

void disk_init(struct disk *d, struct rng *rng, enum disk_mutant mutant)
{
    *d = (struct disk){.rng = rng, .mutant = mutant, .room = UINT64_MAX};
    for (int k = 0; k < DISK_OPEN; k++)
        d->open[k] = -1;
    credulous = mutant == DISK_MUTANT_CRC;
}

void disk_fini(struct disk *d)
{
    for (int i = 0; i < DISK_INODES; i++) {
        free(d->files[i].live);
        free(d->files[i].durable);
        free(d->files[i].dirty);
    }
    credulous = false;
}
