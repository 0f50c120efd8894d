#include "pipeline/secret_form.h"

#include "pipeline/secret_key.h"

/* Characters that do not belong to a URL's authority. */
static bool ends_authority(char c, bool slashes)
{
    return text_space(c) || text_quote(c) || c == '<' || c == '>' || c == '\\' ||
           (slashes && (c == '/' || c == '?' || c == '#'));
}

/* The last '@' of [from, end of the authority), or 0. *colon is the first ':'. */
static size_t authority(const struct text_view *v, size_t from, bool slashes, size_t level,
                        size_t *colon, size_t *end)
{
    enum { LONGEST = 512 };
    size_t i = from, user_end = 0;
    *colon = 0;
    for (; i < v->n && i < from + LONGEST; i++) {
        const char c = v->p[i];
        if (text_view_level(v, i) > level)
            continue;
        if (ends_authority(c, slashes))
            break;
        if (c == '@')
            user_end = i;
        if (c == ':' && *colon == 0)
            *colon = i;
    }
    *end = i;
    return user_end;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* A '/' in the password ends the authority too early; what stands there instead
 * of a port gives it away. */
bool secret_in_url(const struct text_view *v, size_t i, struct secret_place *out)
{
    if (text_at(v, i + 1) != '/' || text_at(v, i + 2) != '/' || i == 0 || !text_alnum(v->p[i - 1]))
        return false;
    const size_t from = i + 3, level = text_view_level(v, i + 1);
    size_t colon, end, user_end = authority(v, from, true, level, &colon, &end);
    if (!user_end && colon && text_at(v, from) != '[' &&
        !all_digits(text_piece(v, colon + 1, end))) {
        size_t first;
        user_end = authority(v, from, false, level, &first, &end);
    }
    if (!user_end)
        return false;
    const bool both = colon && colon < user_end;
    *out = (struct secret_place){both ? colon + 1 : from, user_end};
    const struct str found = text_piece(v, out->from, out->to);
    return both ? secret_value(GRADE_SECRET, found) : secret_looks_random(found);
}

bool secret_in_dsn(const struct text_view *v, size_t i, struct secret_place *out)
{
    const size_t look = v->n - i < TEXT_KEY_LOOK ? v->n - i : TEXT_KEY_LOOK;
    const struct str rest = text_piece(v, i + 1, i + look);
    if (!memchr(rest.p, '@', rest.n))
        return false;
    const char *end = memmem(rest.p, rest.n, "@tcp(", 5);
    if (!end)
        end = memmem(rest.p, rest.n, "@unix(", 6);
    if (!end || i == 0 || !text_in_key(v->p[i - 1]))
        return false;
    *out = (struct secret_place){i + 1, i + 1 + (size_t)(end - rest.p)};
    for (size_t j = out->from; j < out->to; j++)
        if (text_space(v->p[j]))
            return false;
    return secret_value(GRADE_SECRET, text_piece(v, out->from, out->to));
}

bool secret_in_pem(const struct text_view *v, size_t i, struct secret_place *out)
{
    static const char begin[] = "-----BEGIN", end[] = "-----END", dashes[] = "-----";
    enum { LABEL = 64 };
    const struct str rest = text_piece(v, i, v->n);
    const size_t nbegin = sizeof begin - 1;
    if (rest.n < nbegin || memcmp(rest.p, begin, nbegin) != 0)
        return false;
    const size_t look = rest.n - nbegin < LABEL ? rest.n - nbegin : LABEL;
    const char *stop = memmem(rest.p + nbegin, look, dashes, sizeof dashes - 1);
    const size_t label = stop ? (size_t)(stop - rest.p) - nbegin : look;
    if (!memmem(rest.p + nbegin, label, "PRIVATE", 7))
        return false;
    const char *last = memmem(rest.p + nbegin, rest.n - nbegin, end, sizeof end - 1);
    if (last) {
        const size_t past = (size_t)(last - rest.p) + sizeof end - 1;
        last = memmem(rest.p + past, rest.n - past, dashes, sizeof dashes - 1);
    }
    *out = (struct secret_place){i, last ? i + (size_t)(last - rest.p) + 5 : v->n};
    return true;
}
