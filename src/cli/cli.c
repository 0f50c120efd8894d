#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void cli_error(const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    fprintf(stderr, "mcptally: %s\n", message);
}

int cli_exit_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return CLI_PERMISSION;
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
        return CLI_UNAVAILABLE;
    case ETIMEDOUT:
    case EAGAIN:
        return CLI_TIMEOUT;
    default:
        return CLI_FAILURE;
    }
}

void cli_write(struct str text)
{
    if (text.n > 0)
        fwrite(text.p, 1, text.n, stdout);
}

bool cli_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

bool cli_reader_gone(int ms)
{
    struct pollfd p = {.fd = STDOUT_FILENO};
    return poll(&p, 1, ms) > 0 && p.revents & (POLLERR | POLLNVAL);
}

int cli_finish(int status)
{
    if (cli_flush() || cli_reader_gone(0))
        return status;
    cli_error("the output could not be written");
    return CLI_FAILURE;
}
