/* Bytes as a recorded conversation that is to be replayed. What is read is in bounds, and
 * data that is written again is read the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
    int fd;
    char path[64];
};

static void file_make(struct file *f)
{
    f->fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(f->fd >= 0);
    snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
}

static void check(const struct recorded *e)
{
    assert(!e->bytes.failed);
    if (e->kind != RECORDED_EXIT)
        assert(e->stream < TEE_STREAMS);
    else
        assert(e->status >= 0 && e->status <= 255 << 8);
}

/* What one stream says, together. */
static void gather(struct recording_reader *r, struct buf *all, bool whole)
{
    struct recorded e;
    int n;
    recorded_init(&e);
    while ((n = recording_read(r, &e)) > 0) {
        check(&e);
        if (e.kind == RECORDED_DATA && e.stream == TEE_UP)
            buf_add(all, e.bytes.p, e.bytes.n);
    }
    assert(n == 0 || r->why[0] || n == -ERR_IO);
    assert(n == 0 || !whole);
    recorded_fini(&e);
}

static void write_again(const struct buf *all)
{
    static const struct when now = {NS_PER_S, NS_PER_S};
    struct recording to;
    struct recording_reader r;
    struct buf again;
    struct file f;
    file_make(&f);
    recording_begin(&to, dup(f.fd), "fuzz", now);
    for (size_t i = 0; i < all->n; i += 7)
        recording_data(&to, TEE_UP, all->p + i, all->n - i < 7 ? all->n - i : 7, now);
    recording_eof(&to, TEE_UP, now);
    const bool written = recording_end(&to);
    assert(written);
    buf_init(&again, 4 << 20);
    const int opened = recording_read_open(&r, f.path);
    assert(opened == 0);
    gather(&r, &again, true);
    assert(again.n == all->n && (again.n == 0 || memcmp(again.p, all->p, again.n) == 0));
    recording_read_close(&r);
    buf_fini(&again);
    close(f.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recording_reader r;
    struct buf all;
    struct file f;
    file_make(&f);
    const ssize_t written = size ? write(f.fd, data, size) : 0;
    assert(written == (ssize_t)size);
    buf_init(&all, 4 << 20);
    if (recording_read_open(&r, f.path) == 0) {
        gather(&r, &all, false);
        write_again(&all);
    } else {
        assert(r.why[0]);
    }
    recording_read_close(&r);
    buf_fini(&all);
    close(f.fd);
    return 0;
}
