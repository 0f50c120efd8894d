#include "export/http_reply.h"

#include <stdio.h>
#include <strings.h>

#include "export/retry_after.h"
#include "otlp/reply.h"

static bool is_protobuf(const struct http_reply *r)
{
    static const char type[] = "application/x-protobuf";
    const size_t n = sizeof type - 1;
    return r->type && !r->cut && strncasecmp(r->type, type, n) == 0 &&
           (r->type[n] == '\0' || r->type[n] == ';' || r->type[n] == ' ');
}

/* Taken. What cannot be read of the reply does not make it less so. */
static void taken(const struct http_reply *r, struct call *c)
{
    uint64_t rejected = 0;
    struct str text = {0};
    if (is_protobuf(r) && otlp_reply_read(r->body, &rejected, &text) < 0) {
        rejected = 0;
        text = STR("the reply cannot be read");
    }
    call_outcome(c, false, r->status, OUTCOME_OK, text);
    c->outcome.rejected = rejected;
}

static void redirected(const struct http_reply *r, struct call *c)
{
    char why[CALL_MESSAGE];
    snprintf(why, sizeof why, "a redirect to %s is not followed; correct the endpoint",
             r->location ? r->location : "nowhere");
    call_outcome(c, false, r->status, outcome_of_http(r->status), str_of(why));
}

static void failed(const struct http_reply *r, struct call *c, uint64_t wall)
{
    struct otlp_status s = {0};
    if (!is_protobuf(r) || otlp_status_read(r->body, &s) < 0)
        s = (struct otlp_status){0};
    call_outcome(c, false, r->status, outcome_of_http(r->status), s.message);
    const uint64_t said = r->retry_after ? retry_after(r->retry_after, wall) : 0;
    c->outcome.after = s.has_retry && s.retry > said ? s.retry : said;
}

void http_reply_outcome(const struct http_reply *r, struct call *c, uint64_t wall)
{
    if (outcome_of_http(r->status) == OUTCOME_OK)
        taken(r, c);
    else if (r->status >= 300 && r->status < 400)
        redirected(r, c);
    else
        failed(r, c, wall);
}
