#include "cli/document.h"

#include <stdio.h>

#include "cli/cli.h"

enum { TEXT_MAX = 1 << 24 };

int document_print(const struct buf *answer, bool as_json, document_text *text, void *arg)
{
    json_error_t why;
    json_t *doc = json_loadb(answer->p, answer->n, JSON_REJECT_DUPLICATES, &why);
    if (!doc) {
        cli_error("the daemon's answer cannot be read: %s", why.text);
        return CLI_FAILURE;
    }
    if (as_json) {
        json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
    } else {
        struct buf out;
        buf_init(&out, TEXT_MAX);
        text(&out, doc, arg);
        cli_write(buf_str(&out));
        buf_fini(&out);
    }
    json_decref(doc);
    return CLI_OK;
}
