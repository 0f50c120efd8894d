/* file_store: a store in a file, with the writer's lock, as a daemon has it; for
 * the tests of what reads one from outside. */
#ifndef MCPTALLY_TESTS_FILE_STORE_H
#define MCPTALLY_TESTS_FILE_STORE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/ring.h"
#include "wire/encode.h"

enum { FILE_STORE_SIZE = STORE_MIN };

struct file_store {
    char path[64];
    int fd;
    void *mem;
    struct store st;
    struct when now;
    uint64_t store_id;
};

static inline int file_store_reserve(void *arg, uint64_t offset, uint64_t size)
{
    (void)arg;
    return offset + size <= FILE_STORE_SIZE ? 0 : -ERR_FULL;
}

/* A daemon comes: opens the file, locks it and attaches. */
static inline void file_store_attach(struct file_store *f)
{
    const struct store_identity me = {.boot_id = {1, 2}, .store_id = f->store_id};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(f->fd, 0);
    ck_assert_int_eq(fcntl(f->fd, F_OFD_SETLK, &lock), 0);
    ck_assert_int_eq(ftruncate(f->fd, FILE_STORE_SIZE), 0);
    f->mem = mmap(NULL, FILE_STORE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
    ck_assert_ptr_ne(f->mem, MAP_FAILED);
    const int r = store_attach(&f->st, f->mem, FILE_STORE_SIZE, &me, file_store_reserve, f, f->now);
    ck_assert_int_ge(r, 0);
}

static inline void file_store_init(struct file_store *f)
{
    *f = (struct file_store){
        .now = {600 * NS_PER_S, UINT64_C(1700000000) * NS_PER_S},
        .store_id = 7,
    };
    snprintf(f->path, sizeof f->path, "/dev/shm/mcptally-unit-%d", (int)getpid());
    file_store_attach(f);
}

/* The daemon dies: whatever batch is open stays open. */
static inline void file_store_kill(struct file_store *f)
{
    store_detach(&f->st, false);
    munmap(f->mem, FILE_STORE_SIZE);
    close(f->fd);
    f->fd = -1;
}

static inline void file_store_fini(struct file_store *f)
{
    if (f->fd >= 0)
        file_store_kill(f);
    unlink(f->path);
}

/* Appends a record inside the open batch. */
static inline void file_store_append(struct file_store *f, const struct event *e,
                                     const char *service)
{
    const enum store_ring_id ring = e->kind == EVENT_SPAN ? RING_SPANS : RING_EVENTS;
    struct buf body;
    buf_init(&body, LIMIT_ITEM);
    encode_body(&body, e);
    ck_assert(!body.failed);
    const struct ring_item item = {
        .kind = e->kind,
        .service = str_of(service),
        .body = buf_str(&body),
        .received = f->now.wall,
    };
    ck_assert_int_eq(ring_append(&f->st, ring, &item), 0);
    buf_fini(&body);
    f->now.wall += NS_PER_MS;
}

/* Appends and commits a log record. */
static inline void file_store_log(struct file_store *f, const char *text)
{
    static struct event e;
    e = (struct event){.kind = EVENT_LOG, .time = f->now.wall, .severity = 9};
    e.text = str_of(text);
    ring_make_room(&f->st, RING_EVENTS);
    file_store_append(f, &e, "svc");
    store_commit(&f->st);
}

/* Appends and commits a span of one millisecond. */
static inline void file_store_span(struct file_store *f, const char *name)
{
    static struct event e;
    e = (struct event){.kind = EVENT_SPAN, .time = f->now.wall, .name = str_of(name)};
    e.end = e.time + NS_PER_MS;
    e.trace.trace_id[0] = e.trace.span_id[0] = 1;
    ring_make_room(&f->st, RING_SPANS);
    file_store_append(f, &e, "svc");
    store_commit(&f->st);
}

#endif
