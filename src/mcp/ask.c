#include "mcp/ask.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum message { DISCOVER, INITIALIZE, INITIALIZED, PING, MESSAGES };

enum { UNSUPPORTED_VERSION = -32022 };

#define ABOUT "{\"name\":\"mcptally\",\"version\":\"" MCPTALLY_BUILD_VERSION "\"}"
#define META  "io.modelcontextprotocol/"

/* The id of a request is its place here. */
static const struct {
    const char *method, *text;
} messages[MESSAGES] = {
    [DISCOVER] =
        {"server/discover",
         "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"server/discover\",\"params\":{\"_meta\":{"
         "\"" META "protocolVersion\":\"" MCP_ASK_MODERN "\",\"" META "clientInfo\":" ABOUT
         ",\"" META "clientCapabilities\":{}}}}\n"},
    [INITIALIZE] = {"initialize",
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
                    "\"protocolVersion\":\"" MCP_ASK_LEGACY
                    "\",\"capabilities\":{},\"clientInfo\":" ABOUT "}}\n"},
    [INITIALIZED] = {"notifications/initialized",
                     "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"},
    [PING] = {"ping", "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\n"},
};

/* ---- states ---- */

static void set_state(struct mcp_ask *a, enum mcp_ask_state to)
{
    static const bool may[MCP_ASK_STATES][MCP_ASK_STATES] = {
        [MCP_ASK_DISCOVER] =
            {[MCP_ASK_INITIALIZE] = true, [MCP_ASK_GOOD] = true, [MCP_ASK_BAD] = true},
        [MCP_ASK_INITIALIZE] = {[MCP_ASK_PING] = true, [MCP_ASK_GOOD] = true, [MCP_ASK_BAD] = true},
        [MCP_ASK_PING] = {[MCP_ASK_GOOD] = true, [MCP_ASK_BAD] = true},
    };
    assert(may[a->state][to]);
    a->state = to;
    if (mcp_ask_over(a))
        a->unsent = 0;
}

static void due(struct mcp_ask *a, enum message m)
{
    a->unsent |= 1u << m;
}

static void go_legacy(struct mcp_ask *a)
{
    set_state(a, MCP_ASK_INITIALIZE);
    due(a, INITIALIZE);
}

static void give_up(struct mcp_ask *a, const char *method, const struct mcp_message *m)
{
    snprintf(a->why, sizeof a->why, "%s: error %lld: %.100s", method, (long long)m->code,
             m->error_message);
    set_state(a, MCP_ASK_BAD);
}

/* ---- answers ---- */

static void on_discovered(struct mcp_ask *a, const struct mcp_message *m)
{
    /* Whoever minds the version speaks this era, and is there. */
    if (m->kind == MCP_RESULT || m->code == UNSUPPORTED_VERSION)
        set_state(a, MCP_ASK_GOOD);
    else if (a->era == MCP_ERA_AUTO)
        go_legacy(a);
    else
        give_up(a, "server/discover", m);
}

static void on_initialized(struct mcp_ask *a, const struct mcp_message *m)
{
    if (m->kind == MCP_ERROR) {
        give_up(a, "initialize", m);
        return;
    }
    snprintf(a->version, sizeof a->version, "%s", m->protocol_version);
    set_state(a, MCP_ASK_PING);
    due(a, INITIALIZED);
    due(a, PING);
}

static void on_pong(struct mcp_ask *a, const struct mcp_message *m)
{
    if (m->kind == MCP_RESULT)
        set_state(a, MCP_ASK_GOOD);
    else
        give_up(a, "ping", m);
}

/* An error without an id answers what could not be read, which is what was sent last. */
static bool is_answer(const struct mcp_message *m, enum message to)
{
    if (m->kind == MCP_ERROR && (m->id.type == MCP_ID_NULL || m->id.type == MCP_ID_NONE))
        return true;
    const char id[] = {(char)('0' + to), 0};
    return (m->kind == MCP_RESULT || m->kind == MCP_ERROR) && m->id.type == MCP_ID_NUMBER &&
           strcmp(m->id.text, id) == 0;
}

static void on_message(void *arg, const struct mcp_message *m)
{
    struct mcp_ask *a = arg;
    if (a->state == MCP_ASK_DISCOVER && is_answer(m, DISCOVER))
        on_discovered(a, m);
    else if (a->state == MCP_ASK_INITIALIZE && is_answer(m, INITIALIZE))
        on_initialized(a, m);
    else if (a->state == MCP_ASK_INITIALIZE && m->kind == MCP_RESULT && is_answer(m, DISCOVER))
        set_state(a, MCP_ASK_GOOD); /* late, but it is one of the modern era */
    else if (a->state == MCP_ASK_PING && is_answer(m, PING))
        on_pong(a, m);
}

/* ---- bytes ---- */

static void reset_message(struct mcp_ask *a)
{
    envelope_reset(&a->envelope);
    a->unreadable = false;
}

static void take(struct mcp_ask *a, const char *p, size_t n)
{
    if (!a->unreadable && n > 0)
        a->unreadable = !envelope_feed(&a->envelope, p, n);
}

static void end_message(struct mcp_ask *a)
{
    if (!a->unreadable && !envelope_blank(&a->envelope))
        (void)envelope_finish(&a->envelope); /* what is cut off is passed over */
    reset_message(a);
}

static void take_lines(struct mcp_ask *a, const char *p, size_t n)
{
    while (n > 0 && !mcp_ask_over(a)) {
        const char *end = memchr(p, '\n', n);
        const size_t line = end ? (size_t)(end - p) : n;
        take(a, p, line);
        if (!end)
            return;
        end_message(a);
        p += line + 1;
        n -= line + 1;
    }
}

/* A line that begins with "data:" is part of the message, an empty one ends it, and other
 * fields say nothing to us. */
static void take_event_byte(struct mcp_ask *a, char c)
{
    static const char word[] = "data:";
    if (c == '\r')
        return;
    if (c == '\n') {
        if (a->column == 0)
            end_message(a);
        else if (a->data && a->column >= MCP_ASK_WORD)
            take(a, "\n", 1);
        a->column = 0;
        return;
    }
    if (a->column >= MCP_ASK_WORD) {
        if (a->data)
            take(a, &c, 1);
        return;
    }
    a->data = (a->column == 0 || a->data) && c == word[a->column];
    a->column++;
}

void mcp_ask_feed(struct mcp_ask *a, const char *p, size_t n)
{
    if (a->framing == MCP_LINES)
        take_lines(a, p, n);
    else if (a->framing == MCP_WHOLE)
        take(a, p, n);
    else
        for (size_t i = 0; i < n && !mcp_ask_over(a); i++)
            take_event_byte(a, p[i]);
}

void mcp_ask_finish(struct mcp_ask *a)
{
    if (a->framing == MCP_WHOLE && !mcp_ask_over(a))
        end_message(a);
    mcp_ask_framing(a, a->framing);
}

void mcp_ask_framing(struct mcp_ask *a, enum mcp_framing framing)
{
    a->framing = framing;
    a->column = 0;
    reset_message(a);
}

/* ---- asking ---- */

void mcp_ask_init(struct mcp_ask *a, enum mcp_era era)
{
    memset(a, 0, sizeof *a);
    a->era = era;
    a->state = era == MCP_ERA_LEGACY ? MCP_ASK_INITIALIZE : MCP_ASK_DISCOVER;
    due(a, era == MCP_ERA_LEGACY ? INITIALIZE : DISCOVER);
    envelope_init(&a->envelope, on_message, a);
}

const char *mcp_ask_next(struct mcp_ask *a, struct buf *out)
{
    for (unsigned m = 0; m < MESSAGES; m++) {
        if (!(a->unsent & 1u << m))
            continue;
        a->unsent &= ~(1u << m);
        buf_adds(out, messages[m].text);
        return messages[m].method;
    }
    return NULL;
}

void mcp_ask_waited(struct mcp_ask *a)
{
    if (a->state == MCP_ASK_DISCOVER && a->era == MCP_ERA_AUTO)
        go_legacy(a);
}

void mcp_ask_refused(struct mcp_ask *a, const char *why)
{
    if (mcp_ask_over(a))
        return;
    if (a->state == MCP_ASK_DISCOVER && a->era == MCP_ERA_AUTO) {
        go_legacy(a);
        return;
    }
    snprintf(a->why, sizeof a->why, "%s", why);
    set_state(a, MCP_ASK_BAD);
}

int mcp_era_of(const char *word)
{
    static const char *const words[] = {"auto", "legacy", "modern"};
    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}
