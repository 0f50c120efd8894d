/* Commands are watched by threads of the helper, one each, so that one that hangs holds up
 * nothing else. Between fork() and execve() a thread's child calls only what is safe there. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "helper/child.h"
#include "mcp/ask.h"

enum {
    STACK = 256 << 10,
    BLIND_MS = 20, /* between two looks at a process, where it has no descriptor */
    FILES = 1024,  /* descriptors that a command may have */
    EXEC_FD = 3,   /* tells the errno of an execve() that failed */
    READ_BYTES = 16384,
};
#define GRACE  (500 * NS_PER_MS) /* between SIGTERM, or the end of its input, and SIGKILL */
#define SEARCH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct runner {
    struct answers *answers;
    pthread_mutex_t lock;
    unsigned n;
    pid_t groups[HELPER_RUNS]; /* 0: free */
    bool stopping;
};

struct run {
    struct runner *all;
    struct message m; /* the question, and then the answer */
    char *texts;
    char *argv[HELPER_RUN_TEXTS + 1], *env[HELPER_RUN_TEXTS + 2];
    pid_t pid;
    int in, out, exec, process; /* -1: none */
    uint64_t deadline, began;
    uint64_t written; /* bytes that came */
    struct buf kept;  /* the first of them */
    struct mcp_ask ask;
    struct buf to_send;
};

struct runner *runner_new(struct answers *answers)
{
    struct runner *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->answers = answers;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

/* ---- the child ---- */

static void limit(__rlimit_resource_t what, rlim_t most)
{
    const struct rlimit r = {most, most};
    (void)setrlimit(what, &r); /* a sandbox may forbid it: then the time limit alone holds */
}

/* Everything that we ignore or block would be inherited. */
static void plain_signals(void)
{
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void become(const struct run *r, const int in[2], const int out[2], int told,
                             pid_t parent)
{
    const int failed = fcntl(told, F_DUPFD_CLOEXEC, 16); /* out of the way of 0 to 3 */
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    plain_signals();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES);
    if (r->m.run.cpu)
        limit(RLIMIT_CPU, r->m.run.cpu);
    if (in[0] >= 0)
        dup2(in[0], STDIN_FILENO);
    /* What an MCP server writes there is free text, and no answer. */
    dup2(r->m.run.mcp ? STDOUT_FILENO : out[1], STDERR_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(failed, EXEC_FD);
    fcntl(EXEC_FD, F_SETFD, FD_CLOEXEC);
    close_range(EXEC_FD + 1, ~0U, 0);
    if (chdir("/") == 0)
        execve(r->argv[0], r->argv, r->env);
    const int e = errno;
    (void)!write(EXEC_FD, &e, sizeof e);
    _exit(127);
}

/* ---- starting ---- */

/* The NUL-terminated texts of [p, p+n); how many, or -1 when they do not fit or end. */
static int split(char *p, size_t n, char **to)
{
    int count = 0;
    if (n > 0 && p[n - 1] != '\0')
        return -1;
    for (char *end = p + n; p < end; p += strlen(p) + 1) {
        if (count == HELPER_RUN_TEXTS)
            return -1;
        to[count++] = p;
    }
    to[count] = NULL;
    return count;
}

static bool make_texts(struct run *r)
{
    static char path[] = SEARCH;
    const uint32_t argv = r->m.run.argv;
    if (argv > r->m.size || split(r->texts, argv, r->argv) < 1 || r->argv[0][0] != '/')
        return false;
    r->env[0] = path;
    return split(r->texts + argv, r->m.size - argv, r->env + 1) >= 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool make_pipes(const struct run *r, int in[2], int out[2], int told[2])
{
    return (!r->m.run.mcp || pipe2(in, O_CLOEXEC) == 0) && pipe2(out, O_CLOEXEC) == 0 &&
           pipe2(told, O_CLOEXEC) == 0;
}

/* The errno with which execve() failed; 0 when the command runs. */
static int exec_error(int fd)
{
    int e = 0;
    ssize_t n;
    do
        n = read(fd, &e, sizeof e);
    while (n < 0 && errno == EINTR);
    return n == sizeof e ? e : 0;
}

static bool start(struct run *r)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, told[2] = {-1, -1};
    const pid_t me = getpid();
    bool good = make_pipes(r, in, out, told);
    if (good)
        r->pid = fork();
    if (good && r->pid == 0)
        become(r, in, out, told[1], me);
    good = good && r->pid > 0;
    const int failed = errno;
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&told[1]);
    r->in = in[1];
    r->out = out[0];
    const int e = good ? exec_error(told[0]) : failed;
    close_fd(&told[0]);
    if (e)
        r->m.error = e == ENOENT || e == EACCES || e == EPERM ? disk_error(e) : -ERR_IO;
    if (!good)
        return false;
    fcntl(r->out, F_SETFL, O_NONBLOCK);
    if (r->in >= 0)
        fcntl(r->in, F_SETFL, O_NONBLOCK);
    r->process = (int)syscall(SYS_pidfd_open, r->pid, 0);
    return e == 0;
}

/* ---- while it runs ---- */

static bool exited(const struct run *r)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == r->pid;
}

/* What it wrote; false when that was too much. */
static bool read_output(struct run *r)
{
    char piece[READ_BYTES];
    ssize_t n;
    while (r->out >= 0 && (n = read(r->out, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return true;
        r->written += (uint64_t)n;
        if (r->m.run.mcp)
            mcp_ask_feed(&r->ask, piece, (size_t)n);
        const size_t room = HELPER_RUN_KEPT - r->kept.n;
        buf_add(&r->kept, piece, (size_t)n < room ? (size_t)n : room);
        if (r->written > r->m.run.output)
            return false;
    }
    close_fd(&r->out);
    return true;
}

/* Sends what an MCP server is to be asked. A server that takes nothing is one that hangs. */
static void write_input(struct run *r)
{
    while (mcp_ask_next(&r->ask, &r->to_send))
        ;
    while (r->in >= 0 && r->to_send.n > 0) {
        const ssize_t n = write(r->in, r->to_send.p, r->to_send.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            close_fd(&r->in);
        if (n < 0)
            return;
        buf_drop(&r->to_send, (size_t)n);
    }
}

static void wait_some(const struct run *r, uint64_t until)
{
    struct pollfd p[3] = {
        {.fd = r->out, .events = POLLIN},
        {.fd = r->process, .events = POLLIN},
        {.fd = r->to_send.n ? r->in : -1, .events = POLLOUT},
    };
    const uint64_t now = clock_now().mono;
    uint64_t ms = until > now ? (until - now) / NS_PER_MS + 1 : 0;
    if (r->process < 0 && ms > BLIND_MS)
        ms = BLIND_MS;
    poll(p, 3, (int)ms);
}

/* One turn; true to go on. */
static bool turn(struct run *r)
{
    const uint64_t now = clock_now().mono;
    const uint64_t patience = r->began + (r->deadline - r->began) / 3;
    const bool ended = exited(r); /* before reading, so that nothing it wrote is missed */
    if (!read_output(r)) {
        r->m.error = -ERR_RANGE;
        return false;
    }
    if (ended || (r->m.run.mcp && mcp_ask_over(&r->ask)))
        return false;
    if (now >= r->deadline) {
        r->m.error = -ERR_TIMEOUT;
        return false;
    }
    if (r->m.run.mcp && now >= patience)
        mcp_ask_waited(&r->ask);
    if (r->m.run.mcp)
        write_input(r);
    wait_some(r, r->m.run.mcp && now < patience ? patience : r->deadline);
    return true;
}

/* Waits for its end, at most for the grace; what it writes meanwhile is nobody's. */
static void wait_for_end(struct run *r)
{
    const uint64_t until = clock_now().mono + GRACE;
    r->to_send.n = 0;
    while (!exited(r) && clock_now().mono < until) {
        struct pollfd p = {.fd = r->process, .events = POLLIN};
        poll(&p, 1, r->process >= 0 ? (int)(GRACE / NS_PER_MS) : BLIND_MS);
    }
}

/* Its group goes while its pid is still ours, so that nobody else can have the number. */
static void end(struct run *r)
{
    int status = 0;
    const bool by_itself = exited(r);
    close_fd(&r->in);
    close_fd(&r->out);
    if (!by_itself) {
        if (!r->m.run.mcp)
            kill(-r->pid, SIGTERM);
        wait_for_end(r);
    }
    kill(-r->pid, SIGKILL);
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close_fd(&r->process);
    r->m.run.exited = by_itself && WIFEXITED(status);
    r->m.run.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

/* ---- runs ---- */

static void set_group(struct runner *all, pid_t from, pid_t to)
{
    pthread_mutex_lock(&all->lock);
    unsigned i = 0;
    while (i < HELPER_RUNS && all->groups[i] != from)
        i++;
    assert(i < HELPER_RUNS);
    all->groups[i] = to;
    if (to && all->stopping)
        kill(-to, SIGKILL);
    pthread_mutex_unlock(&all->lock);
}

static void answer(struct run *r)
{
    const struct str said = r->m.run.mcp ? str_of(r->ask.why) : buf_str(&r->kept);
    r->m.run.asked = (uint8_t)r->ask.state;
    r->m.size = (uint32_t)said.n;
    answers_send(r->all->answers, &r->m, said.p);
}

static void run_free(struct run *r)
{
    buf_fini(&r->kept);
    buf_fini(&r->to_send);
    free(r->texts);
    free(r);
}

static void *run(void *arg)
{
    struct run *r = arg;
    struct runner *all = r->all;
    const bool begun = start(r);
    r->began = clock_now().mono;
    r->deadline = r->began + r->m.run.timeout;
    if (r->pid > 0) {
        const pid_t group = r->pid;
        set_group(all, 0, group);
        while (begun && turn(r))
            ;
        set_group(all, group, 0);
        end(r);
    }
    answer(r);
    run_free(r);
    pthread_mutex_lock(&all->lock);
    all->n--;
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static struct run *run_new(struct runner *all, const struct message *question, const char *texts)
{
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->all = all;
    r->m = *question;
    r->in = r->out = r->process = -1;
    buf_init(&r->kept, HELPER_RUN_KEPT);
    buf_init(&r->to_send, HELPER_RUN_KEPT);
    mcp_ask_init(&r->ask, (enum mcp_era)question->run.era);
    r->texts = malloc((size_t)question->size + 1);
    if (r->texts)
        memcpy(r->texts, texts, question->size);
    return r;
}

static bool start_thread(struct run *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    const bool ok = pthread_create(&thread, &attr, run, r) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

static bool claim(struct runner *all)
{
    pthread_mutex_lock(&all->lock);
    const bool room = all->n < HELPER_RUNS;
    all->n += room;
    pthread_mutex_unlock(&all->lock);
    return room;
}

static void refuse(struct runner *all, const struct message *question, int error)
{
    struct message m = *question;
    m.error = error;
    m.size = 0;
    answers_send(all->answers, &m, NULL);
}

void runner_ask(struct runner *all, const struct message *question, const char *texts)
{
    if (!claim(all)) {
        refuse(all, question, -ERR_FULL);
        return;
    }
    struct run *r = run_new(all, question, texts);
    int error = !r || !r->texts ? -ERR_NOMEM : make_texts(r) ? 0 : -ERR_SYNTAX;
    if (error == 0 && start_thread(r))
        return;
    refuse(all, question, error ? error : -ERR_NOMEM);
    if (r)
        run_free(r);
    pthread_mutex_lock(&all->lock);
    all->n--;
    pthread_mutex_unlock(&all->lock);
}

void runner_stop(struct runner *all)
{
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    for (unsigned i = 0; i < HELPER_RUNS; i++)
        if (all->groups[i])
            kill(-all->groups[i], SIGKILL);
    pthread_mutex_unlock(&all->lock);
}
