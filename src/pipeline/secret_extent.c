#include "pipeline/secret_extent.h"

/* What may come after an unquoted value. */
static bool closer(char c)
{
    return text_quote(c) || (c && strchr(",;&|)]}>\\", c));
}

/* A string that is nested so deep that its quotes have `slashes` backslashes is
 * closed by one behind as many; a quote inside it has more, and a backslash at
 * its end adds to them by the even. */
size_t secret_quoted_end(const struct text_view *v, size_t from, char q, size_t slashes,
                         size_t level)
{
    size_t run = 0;
    for (size_t i = from; i < v->n; i++) {
        const char c = v->p[i];
        if (c == q && text_view_level(v, i) <= level) {
            if (run < slashes)
                return i - run;
            if ((run - slashes) % (2 * (slashes + 1)) == 0)
                return i - slashes;
        }
        run = c == '\\' ? run + 1 : 0;
    }
    return v->n;
}

/* Whether the closer at i ends an unquoted value: nothing, a blank or another
 * key comes after it. Looks at a bounded number of characters. */
static bool ends_here(const struct text_view *v, size_t i)
{
    size_t j = i;
    if (text_quote(v->p[i]) && i + 1 < v->n && strchr(",)]}>", v->p[i + 1]))
        return true;
    while (j < i + TEXT_SPACES && j < v->n && closer(v->p[j]))
        j++;
    if (j >= v->n || text_space(v->p[j]))
        return true;
    const size_t key = j;
    while (j < key + TEXT_KEY_LOOK && text_in_key(text_at(v, j)))
        j++;
    if (j == key)
        return false;
    while (j < v->n && (text_quote(v->p[j]) || v->p[j] == '\\') && j < key + TEXT_KEY_LOOK)
        j++;
    return text_at(v, j) == '=' || text_at(v, j) == ':';
}

size_t secret_bare_end(const struct text_view *v, size_t from, size_t level, size_t most)
{
    for (size_t i = from; i < v->n; i++) {
        const char c = v->p[i];
        if (i - from >= most)
            return i;
        if (text_view_level(v, i) > level)
            continue;
        if (text_space(c) || (closer(c) && ends_here(v, i)))
            return i;
    }
    return v->n;
}

/* Whether the quote at i opens a string inside a header, as in a="b"; c=d. */
static bool opens_inside(const struct text_view *v, size_t i)
{
    while (i > 0 && v->p[i - 1] == '\\')
        i--;
    return i > 0 && v->p[i - 1] == '=';
}

size_t secret_line_end(const struct text_view *v, size_t from, size_t level)
{
    char inside = '\0';
    for (size_t i = from; i < v->n; i++) {
        const char c = v->p[i], next = text_at(v, i + 1);
        if (text_view_level(v, i) > level)
            continue;
        if (c == '\n' || c == '\r' || (c == '\\' && (next == 'n' || next == 'r')))
            return i;
        if (inside || (text_quote(c) && opens_inside(v, i)))
            inside = !inside ? c : c == inside ? '\0' : inside;
        else if (text_quote(c) && (!next || text_space(next) || strchr(",)]}>'\"", next)))
            return i - (i > from && v->p[i - 1] == '\\');
    }
    return v->n;
}

/* Strings are stepped over: what is in them closes nothing. */
size_t secret_bracket_end(const struct text_view *v, size_t from)
{
    size_t depth = 0, run = 0;
    for (size_t i = from; i < v->n; i++) {
        const char c = v->p[i];
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && --depth == 0)
            return i + 1;
        else if (c == '"')
            i = secret_quoted_end(v, i + 1, c, run, text_view_level(v, i)) + run;
        run = c == '\\' ? run + 1 : 0;
    }
    return v->n;
}
