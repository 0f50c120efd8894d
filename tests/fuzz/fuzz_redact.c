/* Bytes to the search for secrets: the first line as a key, the rest as a value and as a
 * text, and all of it as each part of each OTLP signal. What is UTF-8 stays UTF-8, a text
 * with a secret in it is one as a value too, and a message that was rewritten can be read and
 * holds no more than what was taken for a secret in it before. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "model/text.h"
#include "otlp/field.h"
#include "pipeline/redact_otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(const struct redact *r, struct str key, struct str text)
{
    struct buf out;
    buf_init(&out, 64 + 16 * text.n);
    const size_t found = redact_text(r, text, &out);
    assert(!out.failed);
    assert(found > 0 || out.n == 0);
    assert((found > 0) == (redact_text_holds(r, text) >= 0));
    assert(!text_utf8(text) || text_utf8(buf_str(&out)));
    assert(found == 0 || redact_value(r, key, text));
    buf_fini(&out);
}

static bool readable(struct str message)
{
    struct fields fs = fields_of(message);
    struct field f;
    while (fields_next(&fs, &f))
        ;
    return fs.err == 0;
}

static void rewrite(const struct redact *r, unsigned what, struct str message)
{
    struct redact_count n = {0};
    struct buf out;
    buf_init(&out, 4096 + 32 * message.n);
    const int got = redact_otlp(r, (enum otlp_signal)(what % OTLP_SIGNALS),
                                (enum otlp_part)(what / OTLP_SIGNALS), message, &out, &n);
    assert(got == 0 || got == 1 || got == -ERR_SYNTAX || got == -ERR_SHORT);
    assert(got == 1 || out.n == 0);
    assert(got != 1 || readable(buf_str(&out)));
    buf_fini(&out);
}

static struct redact *make(void)
{
    static const struct str patterns[] = {{"B-[0-9]{6}", 10}, {"(?i)xyzzy.*end", 14}};
    const struct redact_options o = {.enabled = true, .npatterns = 2, .patterns = patterns};
    return redact_new(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct redact *r;
    if (!r)
        r = make();
    assert(r);
    const char *p = (const char *)data, *end = size ? memchr(p, '\n', size) : NULL;
    const size_t n = end ? (size_t)(end - p) : size;
    const struct str key = {p, n};
    const struct str text = end ? (struct str){end + 1, size - n - 1} : key;
    search(r, key, text);
    for (unsigned what = 0; what < 3 * OTLP_SIGNALS; what++)
        rewrite(r, what, (struct str){p, size});
    return 0;
}
