#include "export/call.h"

/* A collector's text goes into our log: nothing that a terminal acts on. */
static void copy(struct call *c, struct str from)
{
    size_t n = from.n < CALL_MESSAGE ? from.n : CALL_MESSAGE - 1;
    while (n < from.n && n > 0 && ((unsigned char)from.p[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    for (size_t i = 0; i < n; i++) {
        const unsigned char b = (unsigned char)from.p[i];
        c->message[i] = b < ' ' || b == 0x7f ? ' ' : from.p[i];
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
