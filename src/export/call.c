#include "export/call.h"

#include "model/text.h"

/* The character that the text begins with; empty when it is none. */
static struct str first_character(struct str from)
{
    for (size_t n = 1; n <= 4 && n <= from.n; n++)
        if (text_utf8((struct str){from.p, n}))
            return (struct str){from.p, n};
    return (struct str){0};
}

/* C0, DEL and C1, of which the last are two bytes. */
static bool is_control(struct str c)
{
    const unsigned char b = (unsigned char)c.p[c.n - 1];
    return c.n == 1 ? b < ' ' || b == 0x7f : c.n == 2 && (unsigned char)c.p[0] == 0xc2 && b < 0xa0;
}

/* A collector's text goes into our log and into JSON: nothing that a terminal acts on,
 * and no byte that makes the document unreadable. */
static void copy(struct call *c, struct str from)
{
    size_t n = 0;
    while (from.n > 0) {
        struct str one = first_character(from);
        const size_t eaten = one.n ? one.n : 1;
        if (one.n == 0)
            one = STR("?");
        else if (is_control(one))
            one = STR(" ");
        if (n + one.n >= CALL_MESSAGE)
            break;
        memcpy(c->message + n, one.p, one.n);
        n += one.n;
        from = (struct str){from.p + eaten, from.n - eaten};
    }
    c->message[n] = '\0';
    c->outcome.message = (struct str){c->message, n};
}

void call_outcome(struct call *c, bool grpc, unsigned status, enum outcome_kind kind,
                  struct str message)
{
    c->outcome = (struct outcome){.kind = kind, .status = status, .grpc = grpc};
    copy(c, message);
}

void call_lost(struct call *c, const char *why)
{
    call_outcome(c, false, 0, OUTCOME_RETRY, str_of(why));
}
