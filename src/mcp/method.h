/* method: the methods of MCP, and which names may become labels. Floor 2. */
#ifndef MCPTALLY_MCP_METHOD_H
#define MCPTALLY_MCP_METHOD_H

#include <stdbool.h>

enum {
    METHOD_TOOL = 1,     /* params.name is a tool */
    METHOD_PROMPT = 2,   /* params.name is a prompt */
    METHOD_RESOURCE = 4, /* params.uri is a resource */
    METHOD_STREAM = 8,   /* stays open for ever: not a duration, not in flight */
};

/* Requests of every protocol version, and the one notification that matters.
 * X(SYMBOL, "name", METHOD_*) */
#define MCP_METHOD_TABLE(X)                                                                        \
    X(OTHER, "_OTHER", 0)                                                                          \
    X(INITIALIZE, "initialize", 0)                                                                 \
    X(DISCOVER, "server/discover", 0)                                                              \
    X(LISTEN, "subscriptions/listen", METHOD_STREAM)                                               \
    X(PING, "ping", 0)                                                                             \
    X(TOOLS_LIST, "tools/list", 0)                                                                 \
    X(TOOLS_CALL, "tools/call", METHOD_TOOL)                                                       \
    X(PROMPTS_LIST, "prompts/list", 0)                                                             \
    X(PROMPTS_GET, "prompts/get", METHOD_PROMPT)                                                   \
    X(RESOURCES_LIST, "resources/list", 0)                                                         \
    X(RESOURCES_TEMPLATES, "resources/templates/list", 0)                                          \
    X(RESOURCES_READ, "resources/read", METHOD_RESOURCE)                                           \
    X(RESOURCES_SUBSCRIBE, "resources/subscribe", METHOD_RESOURCE)                                 \
    X(RESOURCES_UNSUBSCRIBE, "resources/unsubscribe", METHOD_RESOURCE)                             \
    X(COMPLETE, "completion/complete", 0)                                                          \
    X(SET_LEVEL, "logging/setLevel", 0)                                                            \
    X(SAMPLING, "sampling/createMessage", 0)                                                       \
    X(ELICITATION, "elicitation/create", 0)                                                        \
    X(ROOTS_LIST, "roots/list", 0)                                                                 \
    X(TASKS_GET, "tasks/get", 0)                                                                   \
    X(TASKS_RESULT, "tasks/result", 0)                                                             \
    X(TASKS_LIST, "tasks/list", 0)                                                                 \
    X(TASKS_CANCEL, "tasks/cancel", 0)                                                             \
    X(TASKS_UPDATE, "tasks/update", 0)                                                             \
    X(CANCELLED, "notifications/cancelled", 0)

enum mcp_method {
#define X(sym, name, flags) MCP_##sym,
    MCP_METHOD_TABLE(X)
#undef X
        MCP_METHODS
};

/* MCP_OTHER for a name that is not in the table. */
enum mcp_method mcp_method_find(const char *name);
unsigned mcp_method_flags(enum mcp_method method);

/* A label value made of a name that a peer chose must be of a sane form, and
 * only so many of them may be met: from then on, or when the form is bad, the
 * label is "_OTHER". */
enum name_form { NAME_METHOD, NAME_TOOL, NAME_VERSION, NAME_TEXT };

enum { NAME_SET_MAX = 64, NAME_SET_BYTES = 4096 };

struct name_set {
    enum name_form form;
    unsigned n;
    unsigned used; /* bytes of text */
    unsigned at[NAME_SET_MAX];
    char text[NAME_SET_BYTES];
};

/* Methods: [A-Za-z0-9_./$-]{1,128}; tools and prompts: [A-Za-z0-9_.-]{1,128};
 * versions: [A-Za-z0-9_.-]{1,32}; texts: printable, 1 to 64 bytes. */
bool mcp_name_ok(enum name_form form, const char *name);

void name_set_init(struct name_set *s, enum name_form form);

/* The label for a name; valid as long as the set is. */
const char *name_set_label(struct name_set *s, const char *name);

#endif
