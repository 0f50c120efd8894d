#include "wire/proto.h"

const char *frame_type_name(unsigned type)
{
    switch (type) {
#define X(sym, num, word, seq, help)                                                               \
    case num:                                                                                      \
        return word;
        FRAME_TABLE(X)
#undef X
    default:
        return "unknown";
    }
}

const char *reject_name(unsigned reason)
{
    switch (reason) {
#define X(sym, num, word, closes, help)                                                            \
    case num:                                                                                      \
        return word;
        REJECT_TABLE(X)
#undef X
    default:
        return drop_name(reason);
    }
}

int reject_closes(unsigned reason)
{
    switch (reason) {
#define X(sym, num, word, closes, help)                                                            \
    case num:                                                                                      \
        return closes;
        REJECT_TABLE(X)
#undef X
    default:
        return 0;
    }
}

const char *lost_name(unsigned reason)
{
    static const char *const words[LOST_MAX] = {
#define X(sym, word, help) word,
        LOST_TABLE(X)
#undef X
    };
    return reason < LOST_MAX ? words[reason] : "unknown";
}
