#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

/* What COLUMNS may say to be believed. */
enum { NARROWEST = 20, WIDEST = 10000 };

/* Alternate screen and hidden cursor; and back. */
static const char enter[] = "\033[?1049h\033[?25l", leave[] = "\033[?25h\033[?1049l";
static const char home[] = "\033[H", line_end[] = "\033[K\r\n", below[] = "\033[J";

static void take_keys(struct screen *s)
{
    struct termios raw;
    s->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->saved) == 0;
    if (!s->keys)
        return;
    raw = s->saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void give_keys(const struct screen *s)
{
    if (s->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
}

int screen_open(struct screen *s)
{
    static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigemptyset(&s->mask);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&s->mask, taken[i]);
    s->signals = signalfd(-1, &s->mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return -ERR_IO;
    sigprocmask(SIG_BLOCK, &s->mask, NULL);
    take_keys(s);
    fputs(enter, stdout);
    fflush(stdout);
    return 0;
}

void screen_close(struct screen *s)
{
    const int error = errno;
    fputs(leave, stdout);
    fflush(stdout);
    give_keys(s);
    close(s->signals);
    sigprocmask(SIG_UNBLOCK, &s->mask, NULL);
    errno = error;
}

void screen_size(unsigned *columns, unsigned *lines)
{
    struct winsize w;
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;
    *columns = known ? w.ws_col : 80;
    *lines = known ? w.ws_row : 24;
}

unsigned screen_width(unsigned otherwise)
{
    unsigned columns, lines;
    const char *told = getenv("COLUMNS");
    const unsigned long n = told ? strtoul(told, NULL, 10) : 0;
    if (isatty(STDOUT_FILENO))
        screen_size(&columns, &lines);
    else
        columns = n >= NARROWEST && n <= WIDEST ? (unsigned)n : otherwise;
    return columns;
}

bool screen_show(struct str text)
{
    fputs(home, stdout);
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        const size_t n = end ? (size_t)(end - text.p) : text.n;
        fwrite(text.p, 1, n, stdout);
        text.p += n + (end != NULL);
        text.n -= n + (end != NULL);
        /* No line feed after the last line: it would scroll a full screen. */
        fwrite(line_end, 1, text.n > 0 ? sizeof line_end - 1 : 3, stdout);
    }
    fputs(below, stdout);
    return fflush(stdout) == 0;
}

/* Gives the terminal back while the program is stopped. */
static void stop_for_now(struct screen *s)
{
    fputs(leave, stdout);
    fflush(stdout);
    give_keys(s);
    raise(SIGSTOP);
    take_keys(s);
    fputs(enter, stdout);
    fflush(stdout);
}

static enum screen_event take_signal(struct screen *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return SCREEN_TIME;
    if (info.ssi_signo == SIGTSTP)
        stop_for_now(s);
    return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH ? SCREEN_RESIZE : SCREEN_END;
}

enum screen_event screen_wait(struct screen *s, uint64_t timeout, char *key)
{
    const uint64_t ms = (timeout + NS_PER_MS - 1) / NS_PER_MS;
    struct pollfd p[] = {
        {.fd = s->signals, .events = POLLIN},
        {.fd = STDOUT_FILENO},
        {.fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN},
    };
    if (poll(p, 3, (int)ms) <= 0)
        return SCREEN_TIME;
    if (p[0].revents)
        return take_signal(s);
    if (p[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        return SCREEN_END;
    return read(STDIN_FILENO, key, 1) == 1 ? SCREEN_KEY : SCREEN_END;
}
