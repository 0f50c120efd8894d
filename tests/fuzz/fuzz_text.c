/* The small texts of headers: tracestate, traceparent, Retry-After, durations. What is
 * written can be read again, and says the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/traceparent.h"
#include "daemon/value.h"
#include "export/retry_after.h"
#include "model/tracestate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tracestate(struct str s)
{
    struct tracestate_ot before, after;
    struct buf b;
    const uint64_t threshold = UINT64_C(0x8000000000000);
    buf_init(&b, 1 << 20);
    tracestate_read(s, &before);
    assert(!before.has_random || before.random < TRACESTATE_NEVER);
    assert(!before.has_threshold || before.threshold <= TRACESTATE_NEVER);
    tracestate_with(&b, s, threshold);
    assert(!b.failed);
    tracestate_read(buf_str(&b), &after);
    assert(!after.has_threshold || after.threshold == threshold);
    buf_fini(&b);
}

static void traceparent(const char *text)
{
    struct trace_ref one = {0}, two = {0};
    char again[TRACEPARENT_SIZE + 1];
    unsigned flags, same;
    if (!traceparent_parse(text, &one, &flags))
        return;
    traceparent_format(again, &one, flags);
    assert(traceparent_parse(again, &two, &same) && same == flags);
    assert(memcmp(one.trace_id, two.trace_id, sizeof one.trace_id) == 0 &&
           memcmp(one.span_id, two.span_id, sizeof one.span_id) == 0);
}

static void numbers(const char *text)
{
    uint64_t ns, count;
    const uint64_t wall = UINT64_C(1800000000) * NS_PER_S;
    assert(retry_after(text, wall) <= UINT64_C(86400) * NS_PER_S);
    (void)value_duration(text, &ns);
    (void)value_size(text, &count);
    (void)value_count(text, &count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    tracestate((struct str){(const char *)data, size});
    traceparent(text);
    numbers(text);
    free(text);
    return 0;
}
