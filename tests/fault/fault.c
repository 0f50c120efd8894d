/* fault: makes the Nth call of a chosen kind fail, in a program that is loaded with it.
 *
 *     LD_PRELOAD=libfault.so MCPTALLY_FAULT=FILE MCPTALLY_FAULT_PROGRAM=NAME NAME ...
 *
 * FILE is shared memory of 64-bit words, see struct control: it counts the calls of each
 * kind, and whoever maps it says which of them fail, also while the program runs. The
 * program has one set of counters, what it forks (the helper, the observer) another. A
 * program of another name is left alone, and so is every call before main(). faults.py is
 * the other end. Blocks of memory in use are counted too, so that leaks show.
 *
 * MCPTALLY_FAULT_KERNEL, whatever it is set to: a kernel that lets nobody forbid the passing of
 * descriptors, as all before Linux 6.16. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* In the order of KINDS in faults.py. */
#define KIND_TABLE(X)                                                                              \
    X(memory)                                                                                      \
    X(map)                                                                                         \
    X(open)                                                                                        \
    X(socket)                                                                                      \
    X(accept)                                                                                      \
    X(connect)                                                                                     \
    X(bind)                                                                                        \
    X(read)                                                                                        \
    X(write)                                                                                       \
    X(recv)                                                                                        \
    X(send)                                                                                        \
    X(pass) /* a send with a descriptor */                                                         \
    X(epoll_ctl)                                                                                   \
    X(epoll_wait)                                                                                  \
    X(stat)                                                                                        \
    X(allocate)                                                                                    \
    X(truncate)                                                                                    \
    X(rename)                                                                                      \
    X(unlink)                                                                                      \
    X(sync)                                                                                        \
    X(fork)                                                                                        \
    X(pipe)                                                                                        \
    X(random)                                                                                      \
    X(fcntl)                                                                                       \
    X(sockopt)                                                                                     \
    X(directory)                                                                                   \
    X(thread)                                                                                      \
    X(poll)                                                                                        \
    X(event)

enum kind {
#define X(name) KIND_##name,
    KIND_TABLE(X)
#undef X
        KINDS
};

enum { ROLES = 2, TRACE = 24, CRASH = 1000 };

struct counter {
    _Atomic uint64_t calls; /* so far */
    _Atomic uint64_t at;    /* the first that fails, from 1; 0: none */
    _Atomic uint64_t times; /* how many fail from there on */
    _Atomic uint64_t error; /* errno; 0: a read or write of one byte, where there is such; from
                               CRASH on the program is sent the signal that is as much more */
    _Atomic uint64_t fired;
};

struct control {
    uint64_t live[ROLES]; /* blocks of memory */
    int64_t wall;         /* ns that the time of day is off */
    uint64_t ntrace;      /* who made the newest call that failed */
    uint64_t trace[TRACE];
    struct counter of[ROLES][KINDS];
};

#define API __attribute__((visibility("default")))

static struct control *control;
static int role;
static bool old_kernel;

/* ---- whether a call fails ---- */

static void note_caller(void)
{
    void *at[TRACE];
    const int n = backtrace(at, TRACE);
    for (int i = 0; i < n; i++)
        control->trace[i] = (uint64_t)(uintptr_t)at[i];
    control->ntrace = (uint64_t)n;
}

/* Sets errno when it does. */
static bool fails(enum kind kind)
{
    if (!control)
        return false;
    struct counter *c = &control->of[role][kind];
    const uint64_t n = atomic_fetch_add(&c->calls, 1) + 1, at = atomic_load(&c->at);
    if (!at || n < at || n - at >= atomic_load(&c->times))
        return false;
    if (atomic_fetch_add(&c->fired, 1) == 0)
        note_caller();
    errno = (int)atomic_load(&c->error);
    if (errno >= CRASH)
        raise(errno - CRASH);
    return true;
}

/* The same of a read or write: false when it fails; *n may become 1. */
static bool passes(enum kind kind, size_t *n)
{
    const int before = errno;
    if (!fails(kind))
        return true;
    if (errno)
        return false;
    errno = before;
    if (*n > 1)
        *n = 1;
    return true;
}

static void *find(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}

static bool is_wanted(void)
{
    char path[4096];
    const char *wanted = getenv("MCPTALLY_FAULT_PROGRAM");
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (!wanted || n <= 0)
        return false;
    path[n] = '\0';
    const char *name = strrchr(path, '/');
    return name && strcmp(name + 1, wanted) == 0;
}

__attribute__((constructor)) static void begin(void)
{
    void *first[1];
    const char *path = getenv("MCPTALLY_FAULT");
    old_kernel = getenv("MCPTALLY_FAULT_KERNEL") != NULL;
    if (!path || !is_wanted())
        return;
    backtrace(first, 1); /* its first call allocates */
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    void *p = MAP_FAILED;
    if (fd >= 0)
        p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "fault: cannot map %s\n", path);
        abort();
    }
    close(fd);
    control = p;
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static void *counted(void *p)
{
    if (p && control)
        __atomic_fetch_add(&control->live[role], 1, __ATOMIC_RELAXED);
    return p;
}

API void *malloc(size_t size)
{
    return fails(KIND_memory) ? NULL : counted(__libc_malloc(size));
}

API void *calloc(size_t n, size_t size)
{
    return fails(KIND_memory) ? NULL : counted(__libc_calloc(n, size));
}

API void *realloc(void *p, size_t size)
{
    if (fails(KIND_memory))
        return NULL;
    return p ? __libc_realloc(p, size) : counted(__libc_realloc(p, size));
}

API void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(KIND_memory) ? NULL : counted(__libc_memalign(alignment, size));
}

API int posix_memalign(void **p, size_t alignment, size_t size)
{
    const int before = errno;
    if (fails(KIND_memory)) {
        errno = before;
        return ENOMEM;
    }
    *p = counted(__libc_memalign(alignment, size));
    return *p ? 0 : ENOMEM;
}

API void free(void *p)
{
    if (p && control)
        __atomic_fetch_sub(&control->live[role], 1, __ATOMIC_RELAXED);
    __libc_free(p);
}

/* ---- calls that give -1 or a null pointer ---- */

#define CALL(kind, type, bad, name, params, args)                                                  \
    API type name params                                                                           \
    {                                                                                              \
        static type(*next) params;                                                                 \
        if (fails(KIND_##kind))                                                                    \
            return bad;                                                                            \
        if (!next)                                                                                 \
            *(void **)&next = find(#name);                                                         \
        return next args;                                                                          \
    }

CALL(map, void *, MAP_FAILED, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
CALL(map, void *, MAP_FAILED, mmap64, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
CALL(open, int, -1, __open_2, (const char *path, int flags), (path, flags))
CALL(open, int, -1, __openat_2, (int dir, const char *path, int flags), (dir, path, flags))
CALL(open, int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
CALL(open, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
CALL(socket, int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(socket, int, -1, socketpair, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
CALL(accept, int, -1, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n, int flags),
     (fd, a, n, flags))
CALL(accept, int, -1, accept, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n), (fd, a, n))
CALL(connect, int, -1, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t n), (fd, a, n))
CALL(bind, int, -1, bind, (int fd, __CONST_SOCKADDR_ARG a, socklen_t n), (fd, a, n))
CALL(bind, int, -1, listen, (int fd, int backlog), (fd, backlog))
CALL(epoll_wait, int, -1, epoll_wait, (int ep, struct epoll_event *e, int n, int ms),
     (ep, e, n, ms))
CALL(event, int, -1, epoll_create1, (int flags), (flags))
CALL(event, int, -1, eventfd, (unsigned n, int flags), (n, flags))
CALL(event, int, -1, timerfd_create, (int clock, int flags), (clock, flags))
CALL(event, int, -1, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
CALL(stat, int, -1, fstat, (int fd, struct stat *s), (fd, s))
CALL(stat, int, -1, stat, (const char *restrict path, struct stat *restrict s), (path, s))
CALL(stat, int, -1, lstat, (const char *restrict path, struct stat *restrict s), (path, s))
CALL(stat, int, -1, statfs, (const char *path, struct statfs *s), (path, s))
CALL(allocate, int, -1, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
CALL(truncate, int, -1, ftruncate, (int fd, off_t n), (fd, n))
CALL(rename, int, -1, rename, (const char *from, const char *to), (from, to))
CALL(rename, int, -1, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(rename, int, -1, link, (const char *from, const char *to), (from, to))
CALL(unlink, int, -1, unlink, (const char *path), (path))
CALL(unlink, int, -1, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
CALL(sync, int, -1, fsync, (int fd), (fd))
CALL(sync, int, -1, fdatasync, (int fd), (fd))
CALL(pipe, int, -1, pipe2, (int fds[2], int flags), (fds, flags))
CALL(pipe, int, -1, dup2, (int from, int to), (from, to))
CALL(pipe, int, -1, dup3, (int from, int to, int flags), (from, to, flags))
CALL(random, ssize_t, -1, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))
CALL(sockopt, int, -1, getsockopt,
     (int fd, int level, int name, void *restrict p, socklen_t *restrict n),
     (fd, level, name, p, n))
CALL(sockopt, int, -1, getsockname, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n), (fd, a, n))
CALL(directory, DIR *, NULL, opendir, (const char *path), (path))
CALL(directory, DIR *, NULL, fdopendir, (int fd), (fd))
CALL(directory, int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(directory, int, -1, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
CALL(directory, int, -1, chmod, (const char *path, mode_t mode), (path, mode))
CALL(directory, int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(poll, int, -1, poll, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

API int setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
    static int (*next)(int, int, int, const void *, socklen_t);
    if (fails(KIND_sockopt))
        return -1;
    if (old_kernel && level == SOL_SOCKET && name == SO_PASSRIGHTS) {
        errno = ENOPROTOOPT;
        return -1;
    }
    if (!next)
        *(void **)&next = find("setsockopt");
    return next(fd, level, name, p, n);
}

API pid_t fork(void)
{
    static pid_t (*next)(void);
    if (fails(KIND_fork))
        return -1;
    if (!next)
        *(void **)&next = find("fork");
    const pid_t pid = next();
    if (pid == 0)
        role = 1;
    return pid;
}

/* ---- those that have another way ---- */

/* A clock that is set, as a machine's may be. */
API int clock_gettime(clockid_t clock, struct timespec *t)
{
    static int (*next)(clockid_t clock, struct timespec * t);
    if (!next)
        *(void **)&next = find("clock_gettime");
    const int r = next(clock, t);
    if (r == 0 && clock == CLOCK_REALTIME && control) {
        const int64_t ns = t->tv_nsec + __atomic_load_n(&control->wall, __ATOMIC_RELAXED);
        const int64_t left = (ns % 1000000000 + 1000000000) % 1000000000;
        t->tv_sec += (time_t)((ns - left) / 1000000000);
        t->tv_nsec = (long)left;
    }
    return r;
}

/* Only one more can be more than the kernel has memory for. */
API int epoll_ctl(int ep, int op, int fd, struct epoll_event *e)
{
    static int (*next)(int ep, int op, int fd, struct epoll_event *e);
    if (op == EPOLL_CTL_ADD && fails(KIND_epoll_ctl))
        return -1;
    if (!next)
        *(void **)&next = find("epoll_ctl");
    return next(ep, op, fd, e);
}

API int posix_fallocate(int fd, off_t at, off_t n)
{
    static int (*next)(int fd, off_t at, off_t n);
    const int before = errno;
    if (fails(KIND_allocate)) {
        const int error = errno;
        errno = before;
        return error;
    }
    if (!next)
        *(void **)&next = find("posix_fallocate");
    return next(fd, at, n);
}

API int pthread_key_create(pthread_key_t *key, void (*end)(void *value))
{
    static int (*next)(pthread_key_t * key, void (*end)(void *value));
    const int before = errno;
    if (fails(KIND_thread)) {
        errno = before;
        return EAGAIN;
    }
    if (!next)
        *(void **)&next = find("pthread_key_create");
    return next(key, end);
}

API int pthread_setspecific(pthread_key_t key, const void *value)
{
    static int (*next)(pthread_key_t key, const void *value);
    const int before = errno;
    if (fails(KIND_memory)) {
        errno = before;
        return ENOMEM;
    }
    if (!next)
        *(void **)&next = find("pthread_setspecific");
    return next(key, value);
}

API int pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict a,
                       void *(*run)(void *arg), void *restrict arg)
{
    static int (*next)(pthread_t * t, const pthread_attr_t *a, void *(*run)(void *arg), void *arg);
    const int before = errno;
    if (fails(KIND_thread)) {
        errno = before;
        return EAGAIN;
    }
    if (!next)
        *(void **)&next = find("pthread_create");
    return next(t, a, run, arg);
}

#define MODE_OF(flags, mode)                                                                       \
    do {                                                                                           \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        if ((flags) & (O_CREAT | O_TMPFILE))                                                       \
            (mode) = va_arg(ap, mode_t);                                                           \
        va_end(ap);                                                                                \
    } while (0)

#define OPEN(name)                                                                                 \
    API int name(const char *path, int flags, ...)                                                 \
    {                                                                                              \
        static int (*next)(const char *path, int flags, ...);                                      \
        mode_t mode = 0;                                                                           \
        MODE_OF(flags, mode);                                                                      \
        if (fails(KIND_open))                                                                      \
            return -1;                                                                             \
        if (!next)                                                                                 \
            *(void **)&next = find(#name);                                                         \
        return next(path, flags, mode);                                                            \
    }

OPEN(open)
OPEN(open64)

API int openat(int dir, const char *path, int flags, ...)
{
    static int (*next)(int dir, const char *path, int flags, ...);
    mode_t mode = 0;
    MODE_OF(flags, mode);
    if (fails(KIND_open))
        return -1;
    if (!next)
        *(void **)&next = find("openat");
    return next(dir, path, flags, mode);
}

API int fcntl(int fd, int what, ...)
{
    static int (*next)(int fd, int what, ...);
    va_list ap;
    va_start(ap, what);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (fails(KIND_fcntl))
        return -1;
    if (!next)
        *(void **)&next = find("fcntl");
    return next(fd, what, arg);
}

/* ---- reads and writes, which may also do less than was asked ---- */

#define IO(kind, name, params, n, args)                                                            \
    API ssize_t name params                                                                        \
    {                                                                                              \
        static ssize_t(*next) params;                                                              \
        if (!passes(KIND_##kind, &n))                                                              \
            return -1;                                                                             \
        if (!next)                                                                                 \
            *(void **)&next = find(#name);                                                         \
        return next args;                                                                          \
    }

IO(read, read, (int fd, void *p, size_t n), n, (fd, p, n))
IO(read, __read_chk, (int fd, void *p, size_t n, size_t room), n, (fd, p, n, room))
IO(read, pread, (int fd, void *p, size_t n, off_t at), n, (fd, p, n, at))
IO(write, write, (int fd, const void *p, size_t n), n, (fd, p, n))
IO(write, pwrite, (int fd, const void *p, size_t n, off_t at), n, (fd, p, n, at))
IO(recv, recv, (int fd, void *p, size_t n, int flags), n, (fd, p, n, flags))
IO(recv, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags), n,
   (fd, p, n, room, flags))
IO(send, send, (int fd, const void *p, size_t n, int flags), n, (fd, p, n, flags))
IO(send, sendto,
   (int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG a, socklen_t alen), n,
   (fd, p, n, flags, a, alen))

/* A vector that is cut short keeps its first byte. */
#define VECTOR(kind, name, params, iov, niov, args)                                                \
    API ssize_t name params                                                                        \
    {                                                                                              \
        static ssize_t(*next) params;                                                              \
        size_t n = 2;                                                                              \
        struct iovec one = (niov) > 0 ? (iov)[0] : (struct iovec){0};                              \
        if (!passes(KIND_##kind, &n))                                                              \
            return -1;                                                                             \
        if (!next)                                                                                 \
            *(void **)&next = find(#name);                                                         \
        if (n == 1 && one.iov_len > 0) {                                                           \
            one.iov_len = 1;                                                                       \
            (iov) = &one;                                                                          \
            (niov) = 1;                                                                            \
        }                                                                                          \
        return next args;                                                                          \
    }

VECTOR(write, writev, (int fd, const struct iovec *iov, int niov), iov, niov, (fd, iov, niov))
VECTOR(read, readv, (int fd, const struct iovec *iov, int niov), iov, niov, (fd, iov, niov))

API ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    static ssize_t (*next)(int fd, const struct msghdr *m, int flags);
    struct msghdr less = *m;
    struct iovec one = m->msg_iovlen ? m->msg_iov[0] : (struct iovec){0};
    size_t n = 2;
    if (!passes(m->msg_controllen ? KIND_pass : KIND_send, &n))
        return -1;
    if (!next)
        *(void **)&next = find("sendmsg");
    if (n == 1 && one.iov_len > 0) {
        one.iov_len = 1;
        less.msg_iov = &one;
        less.msg_iovlen = 1;
    }
    return next(fd, &less, flags);
}

API ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    static ssize_t (*next)(int fd, struct msghdr *m, int flags);
    if (fails(KIND_recv) && errno)
        return -1;
    if (!next)
        *(void **)&next = find("recvmsg");
    return next(fd, m, flags);
}
