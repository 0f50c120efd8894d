#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/channel.h"
#include "cli/cli.h"
#include "cli/spawn.h"

/* Signals that are the server's to answer. Any other does to the relay what it
 * would have done to the server, and the server dies with it. */
static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT};

struct relay {
    const struct relay_options *options;
    pid_t server; /* 0 once its end has been seen */
    int status;   /* as wait() gives it */
    bool leaving; /* told to end while only the client's reading is waited for */
    int signals;
    int rare;            /* an epoll of what seldom has news, or -1 */
    unsigned rare_fired; /* of it, by place in the list for poll() */
    pid_t observer;
    unsigned observers;        /* started so far */
    uint64_t observer_started; /* mono ns */
    struct tee tee;
    struct channel channel[TEE_STREAMS];
};

/* ---- the observer ---- */

static _Noreturn void become_observer(const struct relay *r, struct tee_reader *tee)
{
    int keep[] = {tee->fd, tee->kick, r->options->keep};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "mcptally-watch");
    /* The client waits for these to close: only the relay may hold them. */
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    spawn_close_all_but(keep, sizeof keep / sizeof *keep);
    _exit(r->options->observe(r->options->arg, tee));
}

static void start_observer(struct relay *r, struct when now)
{
    struct tee_reader reader;
    r->observers++;
    r->observer_started = now.mono;
    if (tee_open(&r->tee, &reader) != 0)
        return;
    r->observer = fork();
    if (r->observer == 0)
        become_observer(r, &reader);
    close(reader.fd); /* and not the memory, which is ours as well */
    if (r->observer < 0) {
        tee_close(&r->tee);
        return;
    }
    tee_tell(&r->tee, r->observers == 1 ? TEE_STARTED : TEE_RESUMED, TEE_UP, r->server, now);
    for (unsigned s = 0; s < TEE_STDERR; s++)
        if (channel_done(&r->channel[s]))
            tee_tell(&r->tee, TEE_EOF, (enum tee_stream)s, 0, now);
}

static void restart_observer(struct relay *r)
{
    struct when now = clock_now();
    if (r->observers < RELAY_OBSERVERS &&
        now.mono - r->observer_started >= RELAY_RESTART_MS * NS_PER_MS)
        start_observer(r, now);
}

/* ---- signals and children ---- */

static void reap(struct relay *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == r->observer)
            tee_close(&r->tee);
        if (pid != r->server)
            continue;
        r->server = 0;
        r->status = status;
        /* Whoever else holds its pipes is not waited for. */
        channel_close(&r->channel[TEE_UP]);
        channel_drain(&r->channel[TEE_DOWN]);
        channel_drain(&r->channel[TEE_STDERR]);
    }
}

/* What the terminal sends goes to the whole group: the server has it already. */
static void pass_on(struct relay *r, const struct signalfd_siginfo *s)
{
    int signal = (int)s->ssi_signo;
    if (!r->server)
        r->leaving |= signal != SIGWINCH && signal != SIGCONT && signal != SIGTSTP;
    else if (s->ssi_code != SI_KERNEL)
        kill(r->server, signal);
    if (signal == SIGTSTP)
        raise(SIGSTOP);
}

static void take_signals(struct relay *r)
{
    struct signalfd_siginfo s;
    while (read(r->signals, &s, sizeof s) == sizeof s) {
        if (s.ssi_signo == SIGCHLD)
            reap(r);
        else
            pass_on(r, &s);
    }
}

static int open_signals(struct spawn_signals *before)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigaction(SIGCHLD, &standard, &before->child); /* ignored, it would take statuses away */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&set, passed_on[i]);
    sigprocmask(SIG_BLOCK, &set, &before->mask);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the loop ---- */

static bool all_done(const struct relay *r)
{
    for (unsigned s = 0; s < TEE_STREAMS; s++)
        if (!channel_done(&r->channel[s]))
            return false;
    return true;
}

/* ---- waiting ---- */

enum { SIGNALS = 2 * TEE_STREAMS, POLLED };

static void fill_poll(const struct relay *r, struct pollfd p[POLLED])
{
    for (unsigned s = 0; s < TEE_STREAMS; s++)
        channel_poll(&r->channel[s], &p[2 * s]);
    p[SIGNALS] = (struct pollfd){.fd = r->signals, .events = POLLIN};
}

/* poll() looks at each descriptor twice, which for all of them costs a message as much as
 * reading it. So it is asked of the few that have news all the time, and of one that stands
 * for the rest: the signals, and the destinations, of which nothing but a reader's leaving is
 * expected. */
static bool is_rare(unsigned i)
{
    return i >= SIGNALS || i % 2 == 1;
}

/* Each tells once until it is armed anew: what another process holds open after we have
 * closed it stays in an epoll, and would else keep it awake for ever. */
static int arm_rare(const struct relay *r, const struct pollfd *p, unsigned i, int how)
{
    const uint32_t events = i < SIGNALS ? 0 : EPOLLIN; /* a hang-up needs no asking */
    struct epoll_event e = {.events = events | EPOLLONESHOT, .data.u32 = i};
    return epoll_ctl(r->rare, how, p->fd, &e);
}

/* Without it, all are asked each time. A file is no reader and cannot leave. */
static void open_rare(struct relay *r)
{
    struct pollfd p[POLLED];
    fill_poll(r, p);
    r->rare = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < POLLED && r->rare >= 0; i++)
        if (is_rare(i) && p[i].fd >= 0 && arm_rare(r, &p[i], i, EPOLL_CTL_ADD) != 0 &&
            errno != EPERM) {
            close(r->rare);
            r->rare = -1;
        }
}

static void take_rare(struct relay *r)
{
    struct epoll_event e[POLLED];
    const int n = epoll_wait(r->rare, e, POLLED, 0);
    for (int i = 0; i < n; i++)
        r->rare_fired |= 1u << e[i].data.u32;
}

static void turn(struct relay *r, struct pollfd p[POLLED])
{
    if (p[SIGNALS].revents)
        take_signals(r);
    for (unsigned s = 0; s < TEE_STREAMS; s++)
        channel_move(&r->channel[s], &p[2 * s], &r->tee);
    if (r->tee.fd < 0)
        restart_observer(r);
}

static void arm_fired(struct relay *r, const struct pollfd p[POLLED])
{
    for (unsigned i = 0; r->rare_fired; i++, r->rare_fired >>= 1)
        if (r->rare_fired & 1 && p[i].fd >= 0)
            arm_rare(r, &p[i], i, EPOLL_CTL_MOD);
}

/* As poll() of all of them. */
static int wait_for_any(struct relay *r, struct pollfd p[POLLED])
{
    struct pollfd few[SIGNALS + 1];
    unsigned place[SIGNALS], n = 0;
    if (r->rare < 0)
        return poll(p, POLLED, -1);
    arm_fired(r, p);
    for (unsigned i = 0; i < SIGNALS; i++)
        if (p[i].fd >= 0 && p[i].events) {
            place[n] = i;
            few[n++] = p[i];
        }
    few[n] = (struct pollfd){.fd = r->rare, .events = POLLIN};
    const int ready = poll(few, n + 1, -1);
    if (ready > 0 && few[n].revents) {
        take_rare(r);
        return poll(p, POLLED, 0);
    }
    for (unsigned i = 0; ready > 0 && i < n; i++)
        p[place[i]].revents = few[i].revents;
    return ready;
}

static __attribute__((hot, noinline)) void loop(struct relay *r)
{
    struct pollfd p[POLLED];
    while (!r->leaving && (r->server || !all_done(r))) {
        fill_poll(r, p);
        if (wait_for_any(r, p) < 0 && errno != EINTR)
            break;
        turn(r, p);
    }
}

/* ---- the whole ---- */

static void open_channels(struct relay *r, const struct spawn *s)
{
    struct channel *c = r->channel;
    for (unsigned i = 0; i < TEE_STREAMS; i++) {
        c[i].stream = (enum tee_stream)i;
        c[i].from.fd = c[i].to.fd = -1;
    }
    port_adopt(&c[TEE_UP].from, STDIN_FILENO, true);
    port_own(&c[TEE_UP].to, s->in);
    c[TEE_UP].edit = r->options->edit_up;
    c[TEE_UP].edit_arg = r->options->edit_arg;
    port_own(&c[TEE_DOWN].from, s->out);
    port_adopt(&c[TEE_DOWN].to, STDOUT_FILENO, false);
    if (s->err < 0)
        return;
    port_own(&c[TEE_STDERR].from, s->err);
    port_adopt(&c[TEE_STDERR].to, STDERR_FILENO, false);
}

/* As a shell says it. */
static int cannot_execute(const struct relay_options *o, const struct spawn *s)
{
    waitpid(s->pid, NULL, 0);
    cli_error("run: %s: %s", o->command[0], strerror(s->exec_error));
    return s->exec_error == ENOENT ? 127 : 126;
}

/* Ends as the server has ended. */
static int die_alike(int status)
{
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    int signal = WTERMSIG(status);
    const struct rlimit none = {0, 0};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    setrlimit(RLIMIT_CORE, &none); /* the server has left its core, if any */
    prctl(PR_SET_DUMPABLE, 0);
    sigaction(signal, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signal);
    return 128 + signal;
}

static int finish(struct relay *r)
{
    for (unsigned s = 0; s < TEE_STREAMS; s++)
        channel_close(&r->channel[s]);
    close(STDERR_FILENO);
    tee_finish(&r->tee, r->status, clock_now(), RELAY_FAREWELL_MS);
    return die_alike(r->status);
}

int relay_run(const struct relay_options *options)
{
    struct spawn spawn;
    struct spawn_signals before;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct relay *r = calloc(1, sizeof *r);
    spawn_fill_std();
    int signals = r ? open_signals(&before) : -1;
    if (signals < 0 || spawn_server(&spawn, options->command, &before) != 0) {
        int error = errno;
        if (r)
            spawn_restore_signals(&before);
        free(r);
        errno = error;
        return RELAY_NOT_STARTED;
    }
    if (spawn.exec_error) {
        free(r);
        return cannot_execute(options, &spawn);
    }
    sigaction(SIGPIPE, &ignore, NULL);
    r->options = options;
    r->server = spawn.pid;
    r->signals = signals;
    r->tee.fd = -1;
    int keep[] = {spawn.in, spawn.out, spawn.err, signals, options->keep};
    spawn_close_all_but(keep, sizeof keep / sizeof *keep);
    open_channels(r, &spawn);
    open_rare(r);
    start_observer(r, clock_now());
    loop(r);
    int status = finish(r);
    free(r);
    return status;
}
