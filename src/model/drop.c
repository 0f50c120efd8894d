#include "model/drop.h"

static const char *const words[DROP_MAX] = {
#define X(sym, word, help) word,
    DROP_TABLE(X)
#undef X
};

static const char *const helps[DROP_MAX] = {
#define X(sym, word, help) help,
    DROP_TABLE(X)
#undef X
};

const char *drop_name(unsigned reason)
{
    return reason < DROP_MAX ? words[reason] : "unknown";
}

const char *drop_help(unsigned reason)
{
    return reason < DROP_MAX ? helps[reason] : "unknown";
}
