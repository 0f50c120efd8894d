#include "helper/helper.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#include "base/buf.h"
#include "base/log.h"
#include "helper/child.h"

enum {
    TURN_BYTES = 256 << 10, /* that one turn of the loop sends, and takes */
    DELAYS = 7,             /* 100 ms doubled so often is the longest wait for a new helper */
};
#define FIRST_DELAY (100 * NS_PER_MS)
#define WELL        (10 * NS_PER_S) /* a helper that lived so long did not die of its start */

struct helper_call {
    struct helper_call *next;
    struct helper *h;
    struct message question;
    char *payload;
    size_t sent; /* bytes of question and payload */
    struct event *timer;
    int error; /* of a call that failed before it was sent */
    helper_resolved *resolved;
    helper_file *file;
    helper_spool_done *spool;
    helper_disk *disk;
    helper_run_done *ran;
    helper_lines_done *lines;
    void *arg;
};

struct calls {
    struct helper_call *first, **last;
};

struct known_spool {
    char name[MESSAGE_NAME];
    struct spool_options options;
};

struct helper {
    char *state_dir;
    pid_t spawner;
    int spawner_fd; /* -1: no helper can be forked any more */
    int fd;         /* -1: no helper */
    pid_t pid;
    uint64_t born, restarts;
    unsigned deaths; /* in a row, soon after the start */
    struct event_base *base;
    struct event *readable, *writable, *again, *failing;
    uint64_t next_id;
    struct calls queued; /* not sent yet, or not all of it */
    struct calls asked;  /* sent, and waiting for the answer */
    struct calls failed; /* to be answered by the loop */
    unsigned ncalls;
    size_t bytes;
    struct message answer; /* that is being read */
    size_t answer_got;     /* bytes of it and of its payload */
    char *payload;
    struct known_spool spools[HELPER_SPOOLS];
    unsigned nspools;
};

/* ---- calls ---- */

static void calls_init(struct calls *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void calls_put(struct calls *l, struct helper_call *c)
{
    c->next = NULL;
    *l->last = c;
    l->last = &c->next;
}

static struct helper_call *calls_take(struct calls *l, uint64_t id)
{
    for (struct helper_call **p = &l->first; *p; p = &(*p)->next) {
        struct helper_call *c = *p;
        if (c->question.id != id)
            continue;
        *p = c->next;
        if (!c->next)
            l->last = p;
        return c;
    }
    return NULL;
}

static size_t cost(const struct helper_call *c)
{
    return sizeof *c + c->question.size;
}

static void call_free(struct helper_call *c)
{
    c->h->ncalls--;
    c->h->bytes -= cost(c);
    if (c->timer)
        event_free(c->timer);
    free(c->payload);
    free(c);
}

static void calls_free(struct calls *l)
{
    for (struct helper_call *c = l->first, *next; c; c = next) {
        next = c->next;
        call_free(c);
    }
    calls_init(l);
}

void helper_forget(struct helper_call *c)
{
    if (!c)
        return;
    c->resolved = NULL;
    c->file = NULL;
    c->spool = NULL;
    c->disk = NULL;
    c->ran = NULL;
    c->lines = NULL;
}

static void tell_spool(struct helper_call *c, const struct message *m, struct str payload)
{
    const struct helper_spool_answer a = {
        .error = m->error,
        .seq = m->seq,
        .stats = m->stats,
        .record = {.seq = m->kind == MESSAGE_READ ? m->seq : 0,
                   .written = m->written,
                   .items = m->items,
                   .signal = m->signal,
                   .payload = payload},
    };
    c->spool(c->arg, &a);
}

static void tell_run(struct helper_call *c, const struct message *m, struct str output)
{
    const struct helper_ran r = {
        .error = m->error,
        .exited = m->run.exited != 0,
        .status = m->run.status,
        .asked = m->run.asked < MCP_ASK_STATES ? (enum mcp_ask_state)m->run.asked : MCP_ASK_BAD,
        .output = output,
    };
    c->ran(c->arg, &r);
}

/* Calls back and frees. The callback may ask again, or forget. */
static void call_end(struct helper_call *c, const struct message *m, const char *payload)
{
    const struct str bytes = {payload ? payload : "", m->size};
    struct sockaddr_storage addresses[HELPER_ADDRESSES];
    if (c->resolved) {
        const unsigned n = (unsigned)(m->size / sizeof *addresses);
        memcpy(addresses, bytes.p, n * sizeof *addresses);
        c->resolved(c->arg, m->error, addresses, n);
    } else if (c->file) {
        c->file(c->arg, m->error, bytes);
    } else if (c->spool) {
        tell_spool(c, m, bytes);
    } else if (c->disk) {
        c->disk(c->arg, m->error, m->seq, m->written);
    } else if (c->ran) {
        tell_run(c, m, bytes);
    } else if (c->lines) {
        c->lines(c->arg, m->error, bytes);
    }
    call_free(c);
}

static void call_fail(struct helper_call *c, int error)
{
    const struct message m = {.kind = c->question.kind, .error = error};
    call_end(c, &m, NULL);
}

/* Those that failed before this turn; what their callbacks ask comes in the next. */
static void on_failing(evutil_socket_t fd, short what, void *arg)
{
    struct helper *h = arg;
    struct calls failed;
    (void)fd;
    (void)what;
    calls_init(&failed);
    for (struct helper_call *c; (c = h->failed.first) != NULL;) {
        h->failed.first = c->next;
        calls_put(&failed, c);
    }
    calls_init(&h->failed);
    for (struct helper_call *c = failed.first, *next; c; c = next) {
        next = c->next;
        call_fail(c, c->error);
    }
}

static void fail_soon(struct helper *h, struct helper_call *c, int error)
{
    c->error = error;
    calls_put(&h->failed, c);
    event_active(h->failing, EV_TIMEOUT, 0);
}

static void fail_all(struct helper *h, struct calls *l)
{
    for (struct helper_call *c = l->first, *next; c; c = next) {
        next = c->next;
        fail_soon(h, c, -ERR_CLOSED);
    }
    calls_init(l);
}

/* ---- the helper's life ---- */

static void ask_open(struct helper *h, const struct known_spool *s);

/* Has a new helper forked: 0, or an error when that cannot be now, or ever. */
static int spawn(struct helper *h)
{
    int pair[2];
    if (h->spawner_fd < 0)
        return -ERR_CLOSED;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -ERR_FULL;
    const int r = spawner_ask(h->spawner_fd, SPAWN_HELPER, pair[1]);
    close(pair[1]);
    if (r < 0 || evutil_make_socket_nonblocking(pair[0]) < 0) {
        close(pair[0]);
        return r < 0 ? r : -ERR_IO;
    }
    h->fd = pair[0];
    h->born = clock_now().mono;
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static void unlisten(struct helper *h)
{
    if (h->readable)
        event_free(h->readable);
    if (h->writable)
        event_free(h->writable);
    h->readable = h->writable = NULL;
}

static int listen_to(struct helper *h)
{
    h->readable = event_new(h->base, h->fd, EV_READ | EV_PERSIST, on_readable, h);
    h->writable = event_new(h->base, h->fd, EV_WRITE, on_writable, h);
    if (!h->readable || !h->writable || event_add(h->readable, NULL) < 0)
        return -ERR_NOMEM;
    for (unsigned i = 0; i < h->nspools; i++)
        ask_open(h, &h->spools[i]);
    return 0;
}

static void wait_to_spawn(struct helper *h)
{
    const unsigned n = h->deaths < DELAYS ? h->deaths : DELAYS;
    const struct timeval t = timeval_of(n ? FIRST_DELAY << n : 0);
    h->deaths++;
    event_add(h->again, &t);
}

static void shut(struct helper *h)
{
    unlisten(h);
    close(h->fd);
    h->fd = -1;
    h->pid = 0;
    free(h->payload);
    h->payload = NULL;
    h->answer_got = 0;
}

static void on_dead(struct helper *h)
{
    if (clock_now().mono - h->born > WELL)
        h->deaths = 0;
    if (h->deaths == 0)
        log_warn("helper", "the helper process has ended; another one is started");
    shut(h);
    fail_all(h, &h->queued);
    fail_all(h, &h->asked);
    wait_to_spawn(h);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct helper *h = arg;
    (void)fd;
    (void)what;
    const int r = spawn(h);
    if (r == -ERR_CLOSED) {
        log_error("helper", "no helper process can be started any more: names are not looked "
                            "up and nothing is spooled until mcptallyd is started again");
        return;
    }
    if (r == 0) {
        h->restarts++;
        if (listen_to(h) == 0)
            return;
        shut(h);
    }
    wait_to_spawn(h);
}

/* ---- sending ---- */

static ssize_t send_some(struct helper *h, struct helper_call *c)
{
    const size_t head = sizeof c->question;
    struct iovec iov[2];
    struct msghdr m = {.msg_iov = iov};
    if (c->sent < head)
        iov[m.msg_iovlen++] = (struct iovec){(char *)&c->question + c->sent, head - c->sent};
    const size_t from = c->sent < head ? 0 : c->sent - head;
    size_t n = c->question.size - from;
    if (n > TURN_BYTES)
        n = TURN_BYTES;
    if (n)
        iov[m.msg_iovlen++] = (struct iovec){c->payload + from, n};
    return sendmsg(h->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct helper *h = arg;
    size_t sum = 0;
    (void)fd;
    (void)what;
    while (h->queued.first && sum < TURN_BYTES) {
        struct helper_call *c = h->queued.first;
        const ssize_t n = send_some(h, c);
        if (n < 0)
            break; /* full; or dead, which reading tells */
        sum += (size_t)n;
        c->sent += (size_t)n;
        if (c->sent < sizeof c->question + c->question.size)
            continue;
        calls_take(&h->queued, c->question.id);
        free(c->payload);
        c->payload = NULL;
        calls_put(&h->asked, c);
    }
    if (h->queued.first)
        event_add(h->writable, NULL);
}

/* ---- answers ---- */

static void on_answer(struct helper *h)
{
    struct message m = h->answer;
    char *payload = h->payload;
    h->payload = NULL;
    h->answer_got = 0;
    if (m.kind == MESSAGE_HELLO)
        h->pid = (pid_t)m.seq;
    struct helper_call *c = m.id ? calls_take(&h->asked, m.id) : NULL;
    if (c && c->question.kind == m.kind)
        call_end(c, &m, payload);
    else if (c)
        call_fail(c, -ERR_DAMAGED);
    free(payload);
}

/* Where the next bytes go, and how many: 0 when the answer is whole. */
static size_t wanted(struct helper *h, char **to)
{
    const size_t head = sizeof h->answer;
    if (h->answer_got < head) {
        *to = (char *)&h->answer + h->answer_got;
        return head - h->answer_got;
    }
    *to = h->payload + (h->answer_got - head);
    return head + h->answer.size - h->answer_got;
}

/* False when what was read cannot be an answer. */
static bool note_read(struct helper *h, size_t n)
{
    h->answer_got += n;
    if (h->answer_got == sizeof h->answer) {
        if (!message_answer(&h->answer))
            return false;
        if (h->answer.size) {
            h->payload = malloc(h->answer.size);
            return h->payload != NULL;
        }
    }
    if (h->answer_got >= sizeof h->answer && h->answer_got == sizeof h->answer + h->answer.size)
        on_answer(h);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct helper *h = arg;
    (void)what;
    for (size_t sum = 0; sum < TURN_BYTES;) {
        char *to;
        size_t want = wanted(h, &to);
        if (want > TURN_BYTES)
            want = TURN_BYTES;
        const ssize_t n = read(fd, to, want);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || !note_read(h, (size_t)n)) {
            on_dead(h);
            return;
        }
        sum += (size_t)n;
    }
}

/* ---- asking ---- */

static struct helper_call *call_new(struct helper *h, enum message_kind kind, const void *payload,
                                    size_t n)
{
    assert(h->base);
    struct helper_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    const bool full = h->ncalls >= HELPER_CALLS || h->bytes + n > HELPER_BYTES;
    c->h = h;
    c->question = (struct message){.magic = MESSAGE_MAGIC, .kind = kind, .id = ++h->next_id};
    if (full) {
        c->error = -ERR_FULL;
    } else if (n) {
        c->payload = malloc(n);
        if (!c->payload) {
            free(c);
            return NULL;
        }
        memcpy(c->payload, payload, n);
        c->question.size = (uint32_t)n;
    }
    h->ncalls++;
    h->bytes += cost(c);
    return c;
}

static struct helper_call *call_send(struct helper_call *c)
{
    struct helper *h = c->h;
    if (c->error == 0 && !message_question(&c->question))
        c->error = -ERR_RANGE;
    if (c->error == 0 && h->fd < 0)
        c->error = -ERR_CLOSED;
    if (c->error < 0) {
        fail_soon(h, c, c->error);
        return c;
    }
    calls_put(&h->queued, c);
    event_add(h->writable, NULL);
    return c;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct helper_call *c = arg;
    (void)fd;
    (void)what;
    if (!c->resolved)
        return;
    helper_resolved *done = c->resolved;
    c->resolved = NULL; /* the answer may still come; it is bounded by HELPER_CALLS until then */
    done(c->arg, -ERR_TIMEOUT, NULL, 0);
}

struct helper_call *helper_resolve(struct helper *h, const char *host, uint16_t port,
                                   helper_resolved *done, void *arg)
{
    const struct timeval limit = timeval_of(HELPER_RESOLVE_NS);
    struct helper_call *c = call_new(h, MESSAGE_RESOLVE, host, strlen(host));
    if (!c)
        return NULL;
    c->question.port = port;
    c->resolved = done;
    c->arg = arg;
    c->timer = evtimer_new(h->base, on_timeout, c);
    if (c->timer)
        event_add(c->timer, &limit);
    return call_send(c);
}

struct helper_call *helper_read_file(struct helper *h, const char *path, helper_file *done,
                                     void *arg)
{
    struct helper_call *c = call_new(h, MESSAGE_FILE, path, strlen(path));
    if (!c)
        return NULL;
    c->file = done;
    c->arg = arg;
    return call_send(c);
}

struct helper_call *helper_disk_usage(struct helper *h, helper_disk *done, void *arg)
{
    struct helper_call *c = call_new(h, MESSAGE_DISK, NULL, 0);
    if (!c)
        return NULL;
    c->disk = done;
    c->arg = arg;
    return call_send(c);
}

struct helper_call *helper_lines_open(struct helper *h, unsigned slot, const char *path,
                                      const struct helper_lines_options *o, helper_lines_done *done,
                                      void *arg)
{
    struct helper_call *c = call_new(h, MESSAGE_LINES_OPEN, path, strlen(path));
    if (!c)
        return NULL;
    c->question.signal = (uint8_t)slot;
    c->question.items = o->mode;
    c->question.port = o->sync;
    c->question.options.bytes = o->bytes;
    c->lines = done;
    c->arg = arg;
    return call_send(c);
}

struct helper_call *helper_run(struct helper *h, const struct helper_command *command,
                               helper_run_done *done, void *arg)
{
    struct buf texts;
    buf_init(&texts, HELPER_RUN_BYTES);
    buf_addstr(&texts, command->argv);
    buf_addstr(&texts, command->env);
    struct helper_call *c = call_new(h, MESSAGE_RUN, texts.p, texts.n);
    if (c) {
        c->question.run = (struct message_run){
            .timeout = command->timeout,
            .argv = (uint32_t)command->argv.n,
            .cpu = command->cpu,
            .output = command->output,
            .mcp = command->mcp,
            .era = (uint8_t)command->era,
        };
        if (texts.failed)
            c->error = -ERR_RANGE;
        c->ran = done;
        c->arg = arg;
        c = call_send(c);
    }
    buf_fini(&texts);
    return c;
}

struct helper_call *helper_lines_add(struct helper *h, unsigned slot, struct str lines,
                                     helper_lines_done *done, void *arg)
{
    struct helper_call *c = call_new(h, MESSAGE_LINES_ADD, lines.p, lines.n);
    if (!c)
        return NULL;
    c->question.signal = (uint8_t)slot;
    c->lines = done;
    c->arg = arg;
    return call_send(c);
}

static struct helper_call *spool_call(struct helper *h, enum message_kind kind, const char *name,
                                      struct str payload, helper_spool_done *done, void *arg)
{
    struct helper_call *c = call_new(h, kind, payload.p, payload.n);
    if (!c)
        return NULL;
    if (message_name(name))
        memcpy(c->question.name, name, strlen(name) + 1);
    else
        c->error = -ERR_NAME;
    c->spool = done;
    c->arg = arg;
    return c;
}

static void ask_open(struct helper *h, const struct known_spool *s)
{
    struct helper_call *c = spool_call(h, MESSAGE_OPEN, s->name, (struct str){NULL, 0}, NULL, NULL);
    if (!c)
        return;
    c->question.options = s->options;
    call_send(c);
}

/* So that the next helper opens it too: false when there are too many. */
static bool know(struct helper *h, const struct helper_call *c)
{
    struct known_spool *s = h->spools;
    while (s < h->spools + h->nspools && strcmp(s->name, c->question.name) != 0)
        s++;
    if (s == h->spools + HELPER_SPOOLS)
        return false;
    if (s == h->spools + h->nspools)
        h->nspools++;
    memcpy(s->name, c->question.name, sizeof s->name);
    s->options = c->question.options;
    return true;
}

struct helper_call *helper_spool_open(struct helper *h, const char *name,
                                      const struct spool_options *o, helper_spool_done *done,
                                      void *arg)
{
    struct helper_call *c = spool_call(h, MESSAGE_OPEN, name, (struct str){NULL, 0}, done, arg);
    if (!c)
        return NULL;
    c->question.options = *o;
    if (c->error != -ERR_NAME && !know(h, c))
        c->error = -ERR_FULL;
    return call_send(c);
}

struct helper_call *helper_spool_append(struct helper *h, const char *name, unsigned signal,
                                        uint32_t items, struct str payload, helper_spool_done *done,
                                        void *arg)
{
    struct helper_call *c = spool_call(h, MESSAGE_APPEND, name, payload, done, arg);
    if (!c)
        return NULL;
    c->question.signal = (uint8_t)signal;
    c->question.items = items;
    return call_send(c);
}

static struct helper_call *ask_seq(struct helper *h, enum message_kind kind, const char *name,
                                   uint64_t seq, helper_spool_done *done, void *arg)
{
    struct helper_call *c = spool_call(h, kind, name, (struct str){NULL, 0}, done, arg);
    if (!c)
        return NULL;
    c->question.seq = seq;
    return call_send(c);
}

struct helper_call *helper_spool_read(struct helper *h, const char *name, uint64_t seq,
                                      helper_spool_done *done, void *arg)
{
    return ask_seq(h, MESSAGE_READ, name, seq, done, arg);
}

struct helper_call *helper_spool_finish(struct helper *h, const char *name, uint64_t seq,
                                        helper_spool_done *done, void *arg)
{
    return ask_seq(h, MESSAGE_FINISH, name, seq, done, arg);
}

/* ---- start and stop ---- */

/* The spawner: the only fork of this process. It ends with us, however we end. */
static int fork_spawner(struct helper *h)
{
    int pair[2];
    const pid_t me = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    h->spawner = fork();
    if (h->spawner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != me)
            _exit(0);
        spawner_run(pair[1], h->state_dir);
    }
    close(pair[1]);
    h->spawner_fd = pair[0];
    if (h->spawner > 0)
        return 0;
    close(pair[0]);
    return -1;
}

struct helper *helper_new(const char *state_dir)
{
    struct helper *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->fd = h->spawner_fd = -1;
    calls_init(&h->queued);
    calls_init(&h->asked);
    calls_init(&h->failed);
    h->state_dir = strdup(state_dir);
    if (!h->state_dir || fork_spawner(h) < 0) {
        free(h->state_dir);
        free(h);
        return NULL;
    }
    if (spawn(h) == 0)
        return h;
    helper_free(h);
    return NULL;
}

int helper_start(struct helper *h, struct event_base *base)
{
    h->base = base;
    h->again = evtimer_new(base, on_again, h);
    h->failing = event_new(base, -1, 0, on_failing, h);
    if (!h->again || !h->failing)
        return -ERR_NOMEM;
    return listen_to(h);
}

void helper_free(struct helper *h)
{
    if (!h)
        return;
    calls_free(&h->queued);
    calls_free(&h->asked);
    calls_free(&h->failed);
    if (h->fd >= 0)
        shut(h);
    if (h->again)
        event_free(h->again);
    if (h->failing)
        event_free(h->failing);
    close(h->spawner_fd);
    while (waitpid(h->spawner, NULL, 0) < 0 && errno == EINTR)
        ;
    free(h->state_dir);
    free(h);
}

void helper_turn(struct helper *h, int ms)
{
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    if (h->queued.first)
        p.events |= POLLOUT;
    if (h->failed.first)
        on_failing(-1, 0, h);
    if (h->fd < 0 || poll(&p, 1, ms) <= 0)
        return;
    if (p.revents & POLLOUT)
        on_writable(h->fd, 0, h);
    if (p.revents & (POLLIN | POLLHUP))
        on_readable(h->fd, 0, h);
}

int helper_fork_gate(struct helper *h, int fd)
{
    return h->spawner_fd < 0 ? -ERR_CLOSED : spawner_ask(h->spawner_fd, SPAWN_GATE, fd);
}

bool helper_alive(const struct helper *h)
{
    return h->fd >= 0;
}

uint64_t helper_restarts(const struct helper *h)
{
    return h->restarts;
}

pid_t helper_pid(const struct helper *h)
{
    return h->pid;
}

unsigned helper_open_calls(const struct helper *h)
{
    return h->ncalls;
}
