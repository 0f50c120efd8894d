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

enum { WORD_MAX = 32 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace) that turn one word into the other. */
static size_t distance(const char *a, const char *b)
{
    const size_t n = strlen(b);
    size_t row[WORD_MAX + 1];
    if (n > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t before = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t swap = before + (a[i] != b[j]);
            before = row[j + 1];
            row[j + 1] = least(least(row[j], before) + 1, swap);
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const char *const *words, size_t n, size_t stride)
{
    const char *best = NULL;
    size_t least_edits = strlen(word) > 3 ? 3 : 2; /* as many would be a guess */
    for (size_t i = 0; i < n; i++) {
        const char *candidate =
            *(const char *const *)(const void *)((const char *)words + i * stride);
        const size_t edits = distance(word, candidate);
        if (edits < least_edits) {
            least_edits = edits;
            best = candidate;
        }
    }
    return best;
}
