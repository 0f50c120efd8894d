/* MCP servers of streamable HTTP. Each message is a POST; a session that a legacy server
 * makes for us is ended by a DELETE, or every run would leave one behind. */
#include <stdlib.h>
#include <string.h>

#include "mcp/ask.h"
#include "probe/web.h"

enum { SESSION = 256, OWN_HEADERS = 6 };

/* The web comes first: it finds itself there. */
struct mcp {
    struct web *web;
    struct mcp_ask ask;
    const char *method; /* of the message in hand; NULL: it is the DELETE */
    struct buf message;
    struct plan_header headers[PLAN_HEADERS + OWN_HEADERS];
    unsigned nheaders, status;
    enum mcp_ask_state before; /* when the request in hand was sent */
    bool leaving;
    char session[SESSION]; /* empty: none */
    char why[32];
};

static void settle(struct probe *p)
{
    const struct mcp *m = p->own;
    probe_settle(p, m->ask.state == MCP_ASK_GOOD ? OWN_RESULT_OK : OWN_RESULT_FAILED, m->ask.why);
}

static void end_ask(struct probe *p)
{
    settle(p);
    probe_end(p, OWN_RESULT_NOT_RUN, "%s", "");
}

/* ---- requests ---- */

static void add_header(struct mcp *m, const char *name, const char *value)
{
    m->headers[m->nheaders++] = (struct plan_header){name, value};
}

static void make_headers(struct probe *p)
{
    struct mcp *m = p->own;
    const bool modern = m->ask.state == MCP_ASK_DISCOVER;
    memcpy(m->headers, p->plan->headers, p->plan->nheaders * sizeof *m->headers);
    m->nheaders = p->plan->nheaders;
    if (m->method) {
        add_header(m, "Content-Type", "application/json");
        add_header(m, "Accept", "application/json, text/event-stream");
    }
    if (modern) {
        add_header(m, "MCP-Protocol-Version", MCP_ASK_MODERN);
        add_header(m, "Mcp-Method", m->method);
    } else if (m->ask.version[0]) {
        add_header(m, "MCP-Protocol-Version", m->ask.version);
    }
    if (m->session[0])
        add_header(m, "Mcp-Session-Id", m->session);
}

static void request(struct probe *p, enum evhttp_cmd_type method)
{
    struct mcp *m = p->own;
    m->status = 0;
    m->before = m->ask.state;
    make_headers(p);
    const struct web_request r = {
        .method = method,
        .headers = m->headers,
        .nheaders = m->nheaders,
        .body = buf_str(&m->message),
    };
    web_send(m->web, &r);
}

static void leave(struct probe *p)
{
    struct mcp *m = p->own;
    settle(p);
    m->leaving = true;
    m->method = NULL;
    buf_reset(&m->message);
    request(p, EVHTTP_REQ_DELETE);
}

static void go_on(struct probe *p)
{
    struct mcp *m = p->own;
    buf_reset(&m->message);
    m->method = mcp_ask_next(&m->ask, &m->message);
    if (m->method)
        request(p, EVHTTP_REQ_POST);
    else if (m->session[0] && !m->leaving)
        leave(p);
    else
        end_ask(p);
}

/* ---- answers ---- */

static void note_session(struct mcp *m, const char *session)
{
    if (!session || m->leaving)
        return;
    const size_t n = strlen(session);
    if (n >= sizeof m->session || strspn(session, " ") == n)
        return;
    memcpy(m->session, session, n + 1);
}

static void on_head(struct probe *p, unsigned status, struct web *w)
{
    struct mcp *m = p->own;
    const char *type = web_header(w, "Content-Type");
    m->status = status;
    note_session(m, web_header(w, "Mcp-Session-Id"));
    mcp_ask_framing(&m->ask, type && strncasecmp(type, "text/event-stream", 17) == 0 ? MCP_EVENTS
                                                                                     : MCP_WHOLE);
}

/* A stream of events may stay open after the answer: its end is not waited for. */
static void on_data(struct probe *p, const char *bytes, size_t n)
{
    struct mcp *m = p->own;
    if (m->leaving)
        return;
    mcp_ask_feed(&m->ask, bytes, n);
    if (mcp_ask_over(&m->ask) && !m->session[0])
        end_ask(p);
}

/* What was said outside of JSON-RPC, when nothing was inside. */
static void judge_status(struct mcp *m)
{
    const bool is_request = strncmp(m->method, "notifications/", 14) != 0;
    if (m->ask.state != m->before || (m->status <= 299 && !is_request))
        return;
    if (m->status <= 299)
        snprintf(m->why, sizeof m->why, "%.18s: no answer", m->method);
    else
        snprintf(m->why, sizeof m->why, "HTTP status %u", m->status);
    mcp_ask_refused(&m->ask, m->why);
}

static void on_end(struct probe *p)
{
    struct mcp *m = p->own;
    if (m->leaving) {
        end_ask(p);
        return;
    }
    mcp_ask_finish(&m->ask);
    judge_status(m);
    go_on(p);
}

static void start(struct probe *p)
{
    static const struct web_events events = {on_head, on_data, on_end};
    struct mcp *m = p->own = calloc(1, sizeof *m);
    if (m) {
        mcp_ask_init(&m->ask, p->plan->era);
        buf_init(&m->message, 4096);
        m->web = web_new(p, &events);
    }
    if (m && m->web)
        web_find(m->web, go_on);
    else
        probe_end_unrun(p, "no memory");
}

static void stop(struct probe *p)
{
    struct mcp *m = p->own;
    if (!m)
        return;
    web_free(m->web);
    buf_fini(&m->message);
    free(m);
}

const struct probe_ops probe_mcp_http = {start, stop};
