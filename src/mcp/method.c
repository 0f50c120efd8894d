#include "mcp/method.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned flags;
} methods[MCP_METHODS] = {
#define X(sym, name, flags) [MCP_##sym] = {name, flags},
    MCP_METHOD_TABLE(X)
#undef X
};

enum mcp_method mcp_method_find(const char *name)
{
    for (unsigned i = MCP_OTHER + 1; i < MCP_METHODS; i++)
        if (strcmp(methods[i].name, name) == 0)
            return (enum mcp_method)i;
    return MCP_OTHER;
}

unsigned mcp_method_flags(enum mcp_method method)
{
    return methods[method].flags;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static bool may_hold(enum name_form form, char c)
{
    switch (form) {
    case NAME_METHOD:
        return is_word(c) || c == '/' || c == '$';
    case NAME_TEXT:
        return (unsigned char)c >= ' ' && c != 0x7F;
    default:
        return is_word(c);
    }
}

bool mcp_name_ok(enum name_form form, const char *name)
{
    static const size_t longest[] = {
        [NAME_METHOD] = 128, [NAME_TOOL] = 128, [NAME_VERSION] = 32, [NAME_TEXT] = 64};
    size_t n = strlen(name);
    if (n == 0 || n > longest[form])
        return false;
    for (size_t i = 0; i < n; i++)
        if (!may_hold(form, name[i]))
            return false;
    return true;
}

void name_set_init(struct name_set *s, enum name_form form)
{
    s->form = form;
    s->n = s->used = 0;
}

const char *name_set_label(struct name_set *s, const char *name)
{
    if (!mcp_name_ok(s->form, name))
        return "_OTHER";
    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->text + s->at[i], name) == 0)
            return s->text + s->at[i];
    size_t size = strlen(name) + 1;
    if (s->n == NAME_SET_MAX || size > sizeof s->text - s->used)
        return "_OTHER";
    s->at[s->n++] = s->used;
    char *to = memcpy(s->text + s->used, name, size);
    s->used += (unsigned)size;
    return to;
}
