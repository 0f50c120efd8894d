/* style: colour, only on a terminal and never against NO_COLOR. */
#ifndef MCPTALLY_CLI_STYLE_H
#define MCPTALLY_CLI_STYLE_H

#include <stdbool.h>

#include "base/buf.h"

/* X(SYMBOL, "SGR parameters") */
#define STYLE_TABLE(X)                                                                             \
    X(NONE, "0")                                                                                   \
    X(DIM, "2")                                                                                    \
    X(STRONG, "1")                                                                                 \
    X(GOOD, "32")                                                                                  \
    X(WARN, "33")                                                                                  \
    X(BAD, "31")                                                                                   \
    X(NAME, "36")                                                                                  \
    X(HEAD, "7")

enum style {
#define X(sym, sgr) STYLE_##sym,
    STYLE_TABLE(X)
#undef X
};

/* Whether stdout takes colour. */
bool style_wanted(void);

/* Appends the sequence, or nothing when colour is off. */
void style_add(struct buf *to, bool colour, enum style style);

#endif
