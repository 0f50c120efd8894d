#include "mcp/scan.h"

#include <string.h>

static void on_message(void *arg, const struct mcp_message *m)
{
    struct scan *s = arg;
    s->listener->message(s->arg, m);
}

void scan_init(struct scan *s, const struct scan_listener *listener, void *arg)
{
    *s = (struct scan){.listener = listener, .arg = arg};
    envelope_init(&s->envelope, on_message, s);
}

static void end_line(struct scan *s)
{
    if (!s->lost && (s->bad || (!envelope_blank(&s->envelope) && !envelope_finish(&s->envelope))))
        s->listener->junk(s->arg);
    envelope_reset(&s->envelope);
    s->bad = s->lost = false;
}

static void feed_line(struct scan *s, const char *p, size_t n)
{
    if (!s->bad && !s->lost)
        s->bad = !envelope_feed(&s->envelope, p, n);
}

void scan_feed(struct scan *s, const char *p, size_t n)
{
    while (n > 0) {
        const char *newline = memchr(p, '\n', n);
        size_t line = newline ? (size_t)(newline - p) : n;
        feed_line(s, p, line);
        if (!newline)
            return;
        end_line(s);
        p += line + 1;
        n -= line + 1;
    }
}

void scan_lost(struct scan *s, bool at_line)
{
    s->lost = true;
    if (at_line)
        end_line(s);
}

void scan_finish(struct scan *s)
{
    end_line(s);
}
