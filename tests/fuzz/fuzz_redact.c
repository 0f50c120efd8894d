/* Bytes to the search for secrets: the first line as a key, the rest as a value and as a
 * text. What is UTF-8 stays UTF-8, and a text with a secret in it is one as a value too. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "model/text.h"
#include "pipeline/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const struct redact *r, struct str key, struct str text)
{
    struct buf out;
    buf_init(&out, 64 + 16 * text.n);
    const size_t found = redact_text(r, text, &out);
    assert(!out.failed);
    assert(found > 0 || out.n == 0);
    assert(!text_utf8(text) || text_utf8(buf_str(&out)));
    assert(found == 0 || redact_value(r, key, text));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct redact_options o = {.enabled = true};
    static struct redact *r;
    if (!r)
        r = redact_new(&o);
    assert(r);
    const char *p = (const char *)data, *end = size ? memchr(p, '\n', size) : NULL;
    const size_t n = end ? (size_t)(end - p) : size;
    const struct str key = {p, n};
    const struct str text = end ? (struct str){end + 1, size - n - 1} : key;
    search(r, key, text);
    return 0;
}
