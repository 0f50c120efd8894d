/* The processes beside the daemon: the spawner and the helper. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/gate_child.h"
#include "helper/child.h"

enum {
    LARGE_BYTES = 64 << 10, /* goes back to the kernel when it is freed */
};

/* ---- what both do first ---- */

/* Nothing of the daemon's stays open but the socket and where messages go. The socket
 * becomes descriptor 3. */
static int keep_only(int fd)
{
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    const int kept = STDERR_FILENO + 1;
    if (fd != kept && dup2(fd, kept) < 0)
        _exit(1);
    fcntl(kept, F_SETFD, FD_CLOEXEC);
    close_range((unsigned)kept + 1, ~0U, 0);
    return kept;
}

/* The signals of a daemon are sent to all that it has started too; these end
 * when the daemon does, and until then it may need them. */
static void set_signals(void)
{
    const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGXFSZ};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- the spawner ---- */

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

int spawner_ask(int spawner, enum spawned what, int fd)
{
    char byte = (char)what;
    union control control = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(spawner, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
        return 0;
    return errno == EAGAIN || errno == ETOOMANYREFS ? -ERR_FULL : -ERR_CLOSED;
}

/* The socket for a new process, and what it is to be; -1 when the daemon has gone. */
static int receive(int from, enum spawned *what)
{
    char byte = SPAWN_HELPER;
    union control control;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    int fd = -1;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    *what = (enum spawned)byte;
    return fd;
}

_Noreturn void spawner_run(int fd, const char *state_dir)
{
    const int socket = keep_only(fd);
    set_signals();
    signal(SIGCHLD, SIG_IGN); /* nobody waits for a helper: its socket tells */
    prctl(PR_SET_NAME, "mcptally-spawn");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    enum spawned what;
    for (int next; (next = receive(socket, &what)) >= 0; close(next)) {
        if (fork() != 0)
            continue;
        if (what == SPAWN_GATE)
            gate_child(keep_only(next));
        else
            helper_child(next, state_dir);
    }
    _exit(0);
}

/* ---- the helper ---- */

/* All of it: 1, or 0 when the daemon has gone. */
static int read_whole(int fd, void *to, size_t n)
{
    for (size_t got = 0; got < n;) {
        const ssize_t r = read(fd, (char *)to + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return 0;
        got += (size_t)r;
    }
    return 1;
}

static void write_whole(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t r = write(fd, (const char *)p + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return; /* the daemon has gone; what it had asked for is still done */
        done += (size_t)r;
    }
}

void answers_send(struct answers *a, const struct message *m, const void *payload)
{
    pthread_mutex_lock(&a->lock);
    write_whole(a->fd, m, sizeof *m);
    if (m->size)
        write_whole(a->fd, payload, m->size);
    pthread_mutex_unlock(&a->lock);
}

static void read_file(struct answers *answers, const struct message *question, const char *path)
{
    struct message m = *question;
    char *bytes = NULL;
    m.size = 0;
    m.error = disk_read_file(path, &bytes, &m.size);
    answers_send(answers, &m, bytes);
    free(bytes);
}

static bool waiting(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

struct child {
    struct answers answers;
    struct resolver *resolver;
    struct spools *spools;
    struct runner *runner;
    const char *state_dir;
    struct lines *lines;
};

static void serve(struct child *c, const struct message *m, const char *payload)
{
    switch (m->kind) {
    case MESSAGE_RESOLVE:
        resolver_ask(c->resolver, m, payload);
        break;
    case MESSAGE_FILE:
        read_file(&c->answers, m, payload);
        break;
    case MESSAGE_DISK:
        disk_usage(&c->answers, m, c->state_dir);
        break;
    case MESSAGE_RUN:
        runner_ask(c->runner, m, payload);
        break;
    case MESSAGE_LINES_OPEN:
        lines_open(c->lines, m, payload);
        break;
    case MESSAGE_LINES_ADD:
        lines_add(c->lines, m, payload);
        break;
    default:
        spools_ask(c->spools, m, payload);
    }
}

/* One question; false when there will be no more. */
static bool turn(struct child *c)
{
    struct message m;
    const int fd = c->answers.fd;
    if (!waiting(fd))
        spools_flush(c->spools);
    if (!read_whole(fd, &m, sizeof m) || !message_question(&m))
        return false;
    char *payload = malloc((size_t)m.size + 1);
    if (!payload)
        return false;
    const bool whole = read_whole(fd, payload, m.size);
    payload[m.size] = 0;
    if (whole)
        serve(c, &m, payload);
    free(payload);
    return whole;
}

_Noreturn void helper_child(int fd, const char *state_dir)
{
    struct child c = {.answers = {.fd = keep_only(fd), .lock = PTHREAD_MUTEX_INITIALIZER},
                      .state_dir = state_dir};
    const struct message hello = {
        .magic = MESSAGE_MAGIC, .kind = MESSAGE_HELLO, .seq = (uint64_t)getpid()};
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_NAME, "mcptally-helper");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    c.resolver = resolver_new(&c.answers);
    c.spools = spools_new(state_dir, &c.answers);
    c.runner = runner_new(&c.answers);
    c.lines = lines_new(state_dir, &c.answers);
    if (!c.resolver || !c.spools || !c.runner || !c.lines)
        _exit(1);
    answers_send(&c.answers, &hello, NULL);
    while (turn(&c))
        ;
    runner_stop(c.runner);
    spools_free(c.spools);
    _exit(0);
}
