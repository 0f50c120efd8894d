/* otlp_json_whole: a JSON text converted in steps of a size; SIZE_MAX parses it as a whole. */
#ifndef MCPTALLY_TESTS_OTLP_JSON_WHOLE_H
#define MCPTALLY_TESTS_OTLP_JSON_WHOLE_H

#include "otlp/json.h"

static inline int convert_json(struct buf *to, enum otlp_signal signal, struct str json,
                               size_t bytes, char *why, size_t why_size)
{
    size_t done;
    int e = -ERR_NOMEM;
    struct otlp_json *c = otlp_json_begin(to, signal, json);
    if (c)
        do
            e = otlp_json_step(c, bytes, &done, why, why_size);
        while (e == 1);
    otlp_json_end(c);
    return e;
}

#endif
