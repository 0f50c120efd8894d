/* emit: hands items to the daemon through libmcptally and waits until it has them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/emission.h"
#include "cli/options.h"
#include "cli/place.h"

struct emit_options {
    struct emission_options item;
    const char *service, *socket, *runtime_dir;
    uint64_t timeout; /* ns */
    bool no_wait;
};

#define AT(member) offsetof(struct emit_options, member)

enum { ITEM_ROWS = 7, WORDS_MAX = 3 + LIMIT_ATTRS + 2 * ITEM_ROWS, TIMEOUT_MAX_S = 3600 };

/* The first ITEM_ROWS may also stand in the lines of `emit -`. */
static const struct option_row rows[] = {
    {"unit", 0, OPTION_TEXT, AT(item.unit), "UNIT", "the metric's unit: s, By, 1 ...", 0, 0},
    {"description", 0, OPTION_TEXT, AT(item.help), "TEXT", "the metric's help text", 0, 0},
    {"join", 0, OPTION_TEXT, AT(item.join), "HOW",
     "how a gauge joins live sessions: last, sum, min or max", 0, 0},
    {"buckets", 0, OPTION_TEXT, AT(item.buckets), "A,B,C",
     "a histogram's upper bounds, ascending; the default is for seconds", 0, 0},
    {"correlation", 0, OPTION_TEXT, AT(item.correlation), "ID",
     "correlation id of an event, log record or span", 0, 0},
    {"parent", 0, OPTION_TEXT, AT(item.parent), "TRACEPARENT", "W3C parent of a span", 0, 0},
    {"error", 0, OPTION_TEXT, AT(item.error), "TYPE", "a span has failed with this error.type", 0,
     0},
    {"service", 0, OPTION_TEXT, AT(service), "NAME", "service to report as", 0, 0},
    {"socket", 0, OPTION_TEXT, AT(socket), "PATH", "the daemon's events.sock", 0, 0},
    {"runtime-dir", 0, OPTION_TEXT, AT(runtime_dir), "DIR",
     "where the daemon's sockets and store are", 0, 0},
    {"timeout", 0, OPTION_DURATION, AT(timeout), "TIME", "how long to wait for the daemon (5s)",
     NS_PER_MS, TIMEOUT_MAX_S *NS_PER_S},
    {"no-wait", 0, OPTION_FLAG, AT(no_wait), NULL, "do not wait for the acknowledgement", 0, 0},
};

#define X(sym, word, operands, usage) usage " [OPTION]...\n"
static const struct options options = {
    .command = "emit",
    .usage = EMISSION_TABLE(X) "-",
    .about = "Hands one item to the daemon, or with '-' one for each line of the standard input. "
             "Success means that the daemon has taken it. A value of an event or a span that "
             "looks like a number is one; key:=value makes it text. A counter's value with a "
             "point declares a counter of fractions.",
    .rows = rows,
    .nrows = sizeof rows / sizeof *rows,
};
#undef X

static const struct options line_options = {
    .command = "emit",
    .usage = "",
    .about = "",
    .rows = rows,
    .nrows = ITEM_ROWS,
};

/* ---- session ---- */

enum {
    QUEUE_BYTES = 16 << 20,
    BUFFER_BYTES = 1 << 20,
    FLUSH_BYTES = 128 << 10, /* of lines, well below both */
    FLUSH_ITEMS = 1000,
};

struct session {
    mcptally *m;
    const char *path;
    const struct emit_options *o;
    uint64_t items; /* emitted */
};

static int open_session(struct session *s, const struct emit_options *o, const char *path)
{
    const mcptally_options mo = {
        .size = sizeof mo,
        .socket = path,
        .service = o->service,
        .flags = o->no_wait ? MCPTALLY_NO_ACK : 0,
        .buffer_bytes = BUFFER_BYTES,
        .queue_bytes = QUEUE_BYTES,
    };
    *s = (struct session){.m = mcptally_open(&mo), .path = path, .o = o};
    if (s->m)
        return CLI_OK;
    cli_error("emit: %s", strerror(errno));
    return CLI_FAILURE;
}

static int timeout_ms(const struct session *s)
{
    return (int)((s->o->timeout + NS_PER_MS - 1) / NS_PER_MS);
}

static int flush(struct session *s)
{
    if (mcptally_flush(s->m, timeout_ms(s)) == 0 || errno != ETIMEDOUT)
        return CLI_OK; /* what was rejected or lost is told at the end */
    cli_error("emit: the daemon on %s did not acknowledge in time", s->path);
    return CLI_TIMEOUT;
}

/* Says what became of the items. */
static int outcome(const struct session *s)
{
    mcptally_stats t = {.size = sizeof t};
    mcptally_get_stats(s->m, &t);
    const uint64_t lost = t.lost_buffer + t.lost_queue + t.lost_expired;
    if (t.rejected > 0)
        cli_error("emit: %llu of %llu items rejected: %s", (unsigned long long)t.rejected,
                  (unsigned long long)s->items, mcptally_reject_name(t.last_reject));
    if (t.lost_invalid > 0)
        cli_error(
            "emit: %llu of %llu items are malformed, too large, or of a metric of another kind",
            (unsigned long long)t.lost_invalid, (unsigned long long)s->items);
    if (lost > 0)
        cli_error("emit: %llu of %llu items did not reach the daemon", (unsigned long long)lost,
                  (unsigned long long)s->items);
    return t.rejected || t.lost_invalid || lost ? CLI_FAILURE : CLI_OK;
}

/* ---- one item, and one for each line ---- */

static void send_one(struct session *s, const struct emission *e)
{
    emission_send(e, s->m, clock_now().wall);
    s->items++;
}

/* Takes one line; 0, or CLI_USAGE with a message. */
static int send_line(struct session *s, char *line, unsigned long number)
{
    static const char command[] = "emit";
    char name[sizeof command], why[EMISSION_WHY] = "quotes do not match, or too many words";
    char *words[WORDS_MAX] = {memcpy(name, command, sizeof command)};
    struct emit_options o = *s->o;
    struct emission e;
    int n = emission_split(line, words + 1, WORDS_MAX - 1);
    if (n == 0)
        return CLI_OK;
    if (n > 0) {
        n = options_parse(&line_options, n + 1, words, &o);
        if (n < 0)
            snprintf(why, sizeof why, "its options cannot be read");
    }
    if (n >= 0)
        n = emission_parse(&e, &o.item, n, words + 1, why);
    if (n < 0) {
        cli_error("emit: line %lu: %s", number, why);
        return CLI_USAGE;
    }
    send_one(s, &e);
    return CLI_OK;
}

static int send_lines(struct session *s)
{
    char *line = NULL;
    size_t size = 0, bytes = 0;
    unsigned long number = 0;
    int status = CLI_OK, r = CLI_OK;
    ssize_t n;
    while (r != CLI_TIMEOUT && (n = getline(&line, &size, stdin)) >= 0) {
        bytes += (size_t)n;
        if (send_line(s, line, ++number) != CLI_OK)
            status = CLI_USAGE;
        if (bytes >= FLUSH_BYTES || number % FLUSH_ITEMS == 0) {
            r = flush(s);
            bytes = 0;
        }
    }
    if (ferror(stdin)) {
        cli_error("emit: cannot read the input: %s", strerror(errno));
        status = CLI_FAILURE;
    }
    free(line);
    return r == CLI_OK ? status : r;
}

/* Sends `one`, or the lines of the standard input when it is NULL. */
static int run(const struct emit_options *o, const char *path, const struct emission *one)
{
    struct session s;
    int status = open_session(&s, o, path);
    if (status != CLI_OK)
        return status;
    if (one)
        send_one(&s, one);
    else
        status = send_lines(&s);
    const bool wait = status != CLI_TIMEOUT && !o->no_wait && s.items > 0;
    const int last = wait ? flush(&s) : CLI_OK;
    const int result = outcome(&s);
    mcptally_close(s.m, status == CLI_TIMEOUT || last != CLI_OK ? 0 : timeout_ms(&s));
    return last != CLI_OK ? last : status != CLI_OK ? status : result;
}

int cmd_emit(int argc, char **argv)
{
    struct emit_options o = {.timeout = 5 * NS_PER_S};
    struct emission one;
    struct place place;
    const char *path = NULL;
    char why[EMISSION_WHY];
    const int n = options_parse(&options, argc, argv, &o);
    if (n < 0)
        return options_exit(n);
    const bool lines = n == 1 && strcmp(argv[1], "-") == 0;
    if (!lines && emission_parse(&one, &o.item, n, argv + 1, why) < 0)
        return options_wrong(&options, "%s", why);
    const int status = place_producer(&place, o.runtime_dir, o.socket, &path);
    return status != CLI_OK ? status : run(&o, path, lines ? NULL : &one);
}
