#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void spawn_fill_std(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

enum { IN, OUT, ERR, STATUS, PIPES };

static void close_pipes(int pipes[PIPES][2])
{
    for (int i = 0; i < PIPES; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] >= 0)
                close(pipes[i][end]);
}

static bool same_file(int a, int b)
{
    struct stat sa, sb;
    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static int open_pipes(int pipes[PIPES][2])
{
    bool own_stderr = !isatty(STDERR_FILENO) && !same_file(STDOUT_FILENO, STDERR_FILENO);
    for (int i = 0; i < PIPES; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < PIPES; i++) {
        if (i == ERR && !own_stderr)
            continue;
        if (pipe2(pipes[i], O_CLOEXEC) != 0) {
            int error = errno;
            close_pipes(pipes);
            errno = error;
            return -1;
        }
    }
    return 0;
}

void spawn_restore_signals(const struct spawn_signals *signals)
{
    sigaction(SIGCHLD, &signals->child, NULL);
    sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

/* In the child: it cannot become the server, and says why. */
static _Noreturn void give_up(int status)
{
    int error = errno;
    ssize_t n = write(status, &error, sizeof error);
    _exit(n == sizeof error ? 127 : 126);
}

/* In the child. What the relay changed for itself is put back; the server dies
 * with the relay, as it would if the client had killed it directly. */
static _Noreturn void become_server(int pipes[PIPES][2], char **command,
                                    const struct spawn_signals *signals, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    bool shared = pipes[ERR][1] < 0 && !isatty(STDERR_FILENO);
    const int err = pipes[ERR][1] >= 0 ? pipes[ERR][1] : shared ? pipes[OUT][1] : STDERR_FILENO;
    /* One that kept the client's own input would read what is the relay's to pass on. */
    if (dup2(pipes[IN][0], STDIN_FILENO) < 0 || dup2(pipes[OUT][1], STDOUT_FILENO) < 0 ||
        dup2(err, STDERR_FILENO) < 0)
        give_up(pipes[STATUS][1]);
    spawn_restore_signals(signals);
    execvp(command[0], command);
    give_up(pipes[STATUS][1]);
}

/* Waits until the exec has happened: 0, or its errno. */
static int exec_result(int fd)
{
    int error;
    ssize_t n;
    do
        n = read(fd, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == sizeof error ? error : 0;
}

int spawn_server(struct spawn *s, char **command, const struct spawn_signals *signals)
{
    int pipes[PIPES][2];
    if (open_pipes(pipes) != 0)
        return -1;
    pid_t parent = getpid();
    s->pid = fork();
    if (s->pid < 0) {
        int error = errno;
        close_pipes(pipes);
        errno = error;
        return -1;
    }
    if (s->pid == 0)
        become_server(pipes, command, signals, parent);
    close(pipes[IN][0]);
    close(pipes[OUT][1]);
    close(pipes[STATUS][1]);
    if (pipes[ERR][1] >= 0)
        close(pipes[ERR][1]);
    s->in = pipes[IN][1];
    s->out = pipes[OUT][0];
    s->err = pipes[ERR][0];
    s->exec_error = exec_result(pipes[STATUS][0]);
    close(pipes[STATUS][0]);
    return 0;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void spawn_close_all_but(int *keep, unsigned n)
{
    unsigned next = STDERR_FILENO + 1;
    qsort(keep, n, sizeof *keep, by_number);
    for (unsigned i = 0; i < n; i++) {
        if (keep[i] < (int)next)
            continue;
        if (keep[i] > (int)next)
            close_range(next, (unsigned)keep[i] - 1, 0);
        next = (unsigned)keep[i] + 1;
    }
    close_range(next, ~0U, 0);
}
