#include "cli/style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool style_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void style_add(struct buf *to, bool colour, enum style style)
{
    static const char *const sgr[] = {
#define X(sym, parameters) "\033[" parameters "m",
        STYLE_TABLE(X)
#undef X
    };
    if (colour)
        buf_adds(to, sgr[style]);
}
