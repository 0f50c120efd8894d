/* OTLP/JSON behind a byte that says its signal and the size of a step. What is taken is a
 * message that protobuf-c reads, and that the walk reads to its end; in steps it is the same
 * as at once. */
#include <assert.h>
#include <string.h>

#include "otlp/logs.pb-c.h"
#include "otlp/metrics.pb-c.h"
#include "otlp/trace.pb-c.h"
#include "../unit/otlp_json_whole.h"
#include "../unit/otlp_whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_steps(enum otlp_signal signal, struct str json, size_t bytes, int whole,
                        const struct buf *expected)
{
    struct buf b;
    char why[120] = "";
    buf_init(&b, 1 << 22);
    const int e = convert_json(&b, signal, json, bytes, why, sizeof why);
    assert((e == 0) == (whole == 0) && (e == 0 || strlen(why) > 0));
    assert(e != 0 || str_eq(buf_str(&b), buf_str(expected)));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const requests[] = {
        &otlp__export_trace_service_request__descriptor,
        &otlp__export_metrics_service_request__descriptor,
        &otlp__export_logs_service_request__descriptor,
    };
    struct buf b;
    char why[120] = "";
    size_t items;
    if (size < 1)
        return 0;
    const enum otlp_signal signal = (enum otlp_signal)(data[0] % OTLP_SIGNALS);
    buf_init(&b, 1 << 22);
    const struct str json = {(const char *)data + 1, size - 1};
    const int e = convert_json(&b, signal, json, SIZE_MAX, why, sizeof why);
    assert(e == 0 || strlen(why) > 0);
    if (e == 0) {
        ProtobufCMessage *m =
            protobuf_c_message_unpack(requests[signal], NULL, b.n, (const uint8_t *)b.p);
        assert(m && count_items(buf_str(&b), &items) == 0);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    check_steps(signal, json, 1 + data[0] / OTLP_SIGNALS, e, &b);
    buf_fini(&b);
    return 0;
}
