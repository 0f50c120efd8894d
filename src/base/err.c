#include "base/err.h"

static const char *const words[ERR_MAX] = {
#define X(sym, word, help) word,
    ERR_TABLE(X)
#undef X
};

static const char *const helps[ERR_MAX] = {
#define X(sym, word, help) help,
    ERR_TABLE(X)
#undef X
};

static const char *lookup(const char *const *table, int e)
{
    if (e < 0)
        e = -e;
    return e < ERR_MAX ? table[e] : "unknown";
}

const char *err_name(int e)
{
    return lookup(words, e);
}

const char *err_help(int e)
{
    return lookup(helps, e);
}
