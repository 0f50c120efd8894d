/* secret_extent: where a value in a text begins and ends. Floor 3. No I/O.
 *
 * Places are those in a text_view. A value that is opened at some level is not
 * closed by a character of a higher one. */
#ifndef MCPTALLY_PIPELINE_SECRET_EXTENT_H
#define MCPTALLY_PIPELINE_SECRET_EXTENT_H

#include "model/limits.h"
#include "pipeline/text_view.h"

enum {
    TEXT_KEY_LOOK = LIMIT_KEY, /* how far a key may reach */
    TEXT_SPACES = 8,           /* blanks allowed around a separator */
};

/* Bytes [from, to) of a text or of a view. */
struct secret_place {
    size_t from, to;
};

static inline char text_at(const struct text_view *v, size_t i)
{
    return i < v->n ? v->p[i] : '\0';
}

static inline bool text_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static inline bool text_in_key(char c)
{
    return text_alnum(c) || c == '_' || c == '-' || c == '.' || c == '$';
}

static inline bool text_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline bool text_space(char c)
{
    return text_blank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static inline bool text_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

/* Whether the letter at i belongs to an escape such as \n, so that it is not the
 * beginning of the word that follows. */
static inline bool text_escape_letter(const struct text_view *v, size_t i)
{
    const char c = text_at(v, i);
    return i > 0 && v->p[i - 1] == '\\' && (c == 'n' || c == 'r' || c == 't');
}

static inline size_t text_skip(const struct text_view *v, size_t i, bool lines)
{
    const size_t end = i + TEXT_SPACES;
    while (i < end && (lines ? text_space(text_at(v, i)) : text_blank(text_at(v, i))))
        i++;
    return i;
}

static inline size_t text_skip_back(const struct text_view *v, size_t i)
{
    const size_t end = i > TEXT_SPACES ? i - TEXT_SPACES : 0;
    while (i > end && text_space(v->p[i - 1]))
        i--;
    return i;
}

static inline struct str text_piece(const struct text_view *v, size_t from, size_t to)
{
    return (struct str){v->p + from, to - from};
}

/* The end of what is inside a string that was opened by `q` behind `slashes`
 * backslashes, just before `from`. */
size_t secret_quoted_end(const struct text_view *v, size_t from, char q, size_t slashes,
                         size_t level);

/* The end of a value without quotes, of which at most `most` bytes are looked at. */
size_t secret_bare_end(const struct text_view *v, size_t from, size_t level, size_t most);

/* The end of the line, or of the string that the line is in. */
size_t secret_line_end(const struct text_view *v, size_t from, size_t level);

/* Past the bracket that closes the one at `from`. */
size_t secret_bracket_end(const struct text_view *v, size_t from);

#endif
