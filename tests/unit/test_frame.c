#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "model/limits.h"
#include "wire/encode.h"
#include "wire/frame.h"

/* A stream of frames of many sizes, and what they were made of. */
enum { FRAMES = 5 };
static const struct {
    uint8_t type;
    uint32_t size;
} frames[FRAMES] = {
    {FRAME_ACK, 8}, {FRAME_BYE, 0}, {FRAME_LOG, 300}, {FRAME_BYE, 0}, {FRAME_UPDATE, 28},
};

static uint8_t byte_of(unsigned frame, uint32_t i)
{
    return (uint8_t)(frame * 31 + i * 7 + 1);
}

static void put_header(uint8_t *to, uint32_t size, unsigned type, unsigned flags, unsigned stream)
{
    put_u32(to, size);
    to[4] = (uint8_t)type;
    to[5] = (uint8_t)flags;
    put_u16(to + 6, (uint16_t)stream);
}

static size_t make_stream(uint8_t *to)
{
    size_t n = 0;
    for (unsigned f = 0; f < FRAMES; f++) {
        put_header(to + n, frames[f].size, frames[f].type, 0, 0);
        n += PROTO_HEADER;
        for (uint32_t i = 0; i < frames[f].size; i++)
            to[n++] = byte_of(f, i);
    }
    return n;
}

static bool is_frame(const struct frame *f, unsigned which)
{
    if (which >= FRAMES || f->type != frames[which].type || f->size != frames[which].size)
        return false;
    for (uint32_t i = 0; i < f->size; i++)
        if (f->payload[i] != byte_of(which, i))
            return false;
    return true;
}

/* Feeds one piece, from memory of exactly its size, and checks what comes out. */
static void feed(struct frame_reader *r, const uint8_t *p, size_t n, unsigned *seen)
{
    uint8_t *piece = malloc(n ? n : 1);
    memcpy(piece, p, n);
    const uint8_t *at = piece;
    struct frame f;
    int got;
    while ((got = frame_reader_next(r, &at, &n, &f)) == 1) {
        ck_assert(is_frame(&f, *seen));
        (*seen)++;
    }
    ck_assert_int_eq(got, 0);
    ck_assert_uint_eq(n, 0);
    free(piece);
}

START_TEST(any_two_cuts)
{
    uint8_t stream[1024];
    const size_t n = make_stream(stream);
    for (size_t a = 0; a <= n; a += 1 + a / 16)
        for (size_t b = a; b <= n; b++) {
            struct frame_reader r;
            frame_reader_init(&r);
            unsigned seen = 0;
            feed(&r, stream, a, &seen);
            feed(&r, stream + a, b - a, &seen);
            feed(&r, stream + b, n - b, &seen);
            ck_assert_uint_eq(seen, FRAMES);
            ck_assert_uint_eq(frame_reader_missing(&r), 0);
            ck_assert_uint_eq(r.cap, 0);
            frame_reader_fini(&r);
        }
}
END_TEST

START_TEST(byte_by_byte)
{
    uint8_t stream[1024];
    const size_t n = make_stream(stream);
    struct frame_reader r;
    frame_reader_init(&r);
    unsigned seen = 0;
    for (size_t i = 0; i < n; i++)
        feed(&r, stream + i, 1, &seen);
    ck_assert_uint_eq(seen, FRAMES);
    frame_reader_fini(&r);
}
END_TEST

START_TEST(whole_frames_are_not_copied)
{
    uint8_t stream[1024];
    size_t n = make_stream(stream);
    const uint8_t *at = stream;
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame f;
    while (frame_reader_next(&r, &at, &n, &f) == 1) {
        ck_assert(f.payload >= stream && f.payload <= stream + sizeof stream);
        ck_assert_ptr_null(r.held);
    }
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(memory_follows_the_bytes)
{
    uint8_t in[PROTO_HEADER + 100] = {0};
    put_header(in, LIMIT_FRAME, FRAME_LOG, 0, 0);
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame f;
    const uint8_t *p = in;
    size_t n = PROTO_HEADER;
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 0);
    ck_assert_uint_le(r.cap, 16);
    ck_assert_uint_eq(frame_reader_missing(&r), LIMIT_FRAME);
    n = 100;
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 0);
    ck_assert_uint_le(r.cap, 216);
    ck_assert_uint_eq(frame_reader_missing(&r), LIMIT_FRAME - 100);
    frame_reader_fini(&r);
    ck_assert_uint_eq(r.cap, 0);
}
END_TEST

START_TEST(a_part_of_a_header_is_a_frame_begun)
{
    const uint8_t in[3] = {1, 0, 0};
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame f;
    const uint8_t *p = in;
    size_t n = sizeof in;
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 0);
    ck_assert_uint_eq(frame_reader_missing(&r), PROTO_HEADER - 3);
    frame_reader_fini(&r);
}
END_TEST

static const struct {
    uint32_t size;
    unsigned flags, stream;
    int expected;
} bad_headers[] = {
    {8, 1, 0, -REJECT_HEADER},
    {8, 0x80, 0, -REJECT_HEADER},
    {8, 0, 1, -REJECT_HEADER},
    {8, 0, 0x100, -REJECT_HEADER},
    {LIMIT_FRAME + 1, 0, 0, -REJECT_TOO_LARGE},
    {UINT32_MAX, 0, 0, -REJECT_TOO_LARGE},
};

START_TEST(a_bad_header_ends_the_stream)
{
    uint8_t in[PROTO_HEADER + 8] = {0};
    put_header(in, bad_headers[_i].size, FRAME_ACK, bad_headers[_i].flags, bad_headers[_i].stream);
    for (size_t cut = 0; cut <= PROTO_HEADER; cut++) {
        struct frame_reader r;
        frame_reader_init(&r);
        struct frame f;
        const uint8_t *p = in;
        size_t n = cut;
        int got = frame_reader_next(&r, &p, &n, &f);
        if (got == 0) {
            n = sizeof in - cut;
            got = frame_reader_next(&r, &p, &n, &f);
        }
        ck_assert_int_eq(got, bad_headers[_i].expected);
        ck_assert_uint_le(r.cap, 16);
        frame_reader_fini(&r);
    }
}
END_TEST

START_TEST(the_largest_frame)
{
    const size_t size = PROTO_HEADER + LIMIT_FRAME;
    uint8_t *in = calloc(1, size);
    put_header(in, LIMIT_FRAME, FRAME_LOG, 0, 0);
    in[size - 1] = 42;
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame f;
    const uint8_t *p = in;
    for (size_t done = 0; done < size; done += 1000) {
        size_t n = size - done < 1000 ? size - done : 1000;
        const int got = frame_reader_next(&r, &p, &n, &f);
        ck_assert_int_eq(got, done + 1000 >= size);
    }
    ck_assert_uint_eq(f.size, LIMIT_FRAME);
    ck_assert_uint_eq(f.payload[LIMIT_FRAME - 1], 42);
    ck_assert_uint_eq(r.cap, size);
    frame_reader_fini(&r);
    free(in);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(frame_type_name(FRAME_DEFINE_SERIES), "define_series");
    ck_assert_str_eq(frame_type_name(0), "unknown");
    ck_assert_str_eq(frame_type_name(FRAME_BELL), "bell");
    ck_assert_str_eq(frame_type_name(FRAME_BELL + 1), "unknown");
    ck_assert_str_eq(reject_name(DROP_MALFORMED), "malformed");
    ck_assert_str_eq(reject_name(REJECT_GAP), "sequence_gap");
    ck_assert_str_eq(reject_name(REJECT_END), "unknown");
    ck_assert_str_eq(lost_name(LOST_EXPIRED), "expired");
    ck_assert_str_eq(lost_name(LOST_MAX), "unknown");
    ck_assert_int_eq(reject_closes(REJECT_GAP), 1);
    ck_assert_int_eq(reject_closes(DROP_NAME), 0);
}
END_TEST

/* ---- parts ---- */

enum { RECORDS = 4, PARTS_SIZE = 2 * (PROTO_HEADER + PROTO_BATCH + RECORDS * PROTO_UPDATE) + 16 };

/* Two frames of records 1 to 8, whose values are their numbers, and one more behind them. */
static size_t make_records(uint8_t *to)
{
    struct buf out;
    buf_init(&out, PARTS_SIZE);
    for (uint32_t first = 1; first <= 2 * RECORDS; first += RECORDS) {
        const size_t at = encode_batch(&out, FRAME_UPDATE, first);
        for (uint32_t i = first; i < first + RECORDS; i++)
            encode_update(&out, i, i);
        encode_batch_end(&out, at, RECORDS);
    }
    encode_ack(&out, 7);
    ck_assert(!out.failed);
    const size_t n = out.n;
    memcpy(to, out.p, n);
    buf_fini(&out);
    return n;
}

static void check_records(const struct frame_part *part, uint64_t *next)
{
    const struct batch b = {.items = part->items};
    ck_assert_uint_eq(part->first, *next);
    ck_assert_uint_ge(part->count, 1);
    for (uint32_t i = 0; i < part->count; i++, ++*next) {
        ck_assert_uint_eq(update_id(&b, i), *next);
        ck_assert_uint_eq(update_value(&b, i), *next);
    }
}

/* Feeds one piece, from memory of exactly its size; what waits at its end is no whole record. */
static void feed_parts(struct frame_reader *r, const uint8_t *p, size_t n, uint64_t *next,
                       unsigned *acks)
{
    uint8_t *piece = malloc(n ? n : 1);
    memcpy(piece, p, n);
    const uint8_t *at = piece;
    struct frame_part part;
    struct frame f;
    struct batch b;
    for (int got = 1; got == 1;) {
        got = frame_reader_part(r, &at, &n, &part);
        if (got == 1) {
            check_records(&part, next);
            continue;
        }
        ck_assert_int_eq(got, 0);
        got = frame_reader_next(r, &at, &n, &f);
        if (got == 1 && f.type == FRAME_UPDATE) {
            ck_assert_int_eq(decode_batch(f.type, f.payload, f.size, &b), 0);
            part = (struct frame_part){b.first, b.count, b.items};
            check_records(&part, next);
        } else if (got == 1) {
            ++*acks;
        }
    }
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_lt(r->have, PROTO_HEADER + PROTO_BATCH + PROTO_UPDATE);
    free(piece);
}

START_TEST(records_do_not_wait_for_their_frame)
{
    uint8_t stream[PARTS_SIZE];
    const size_t n = make_records(stream);
    for (size_t a = 0; a <= n; a++)
        for (size_t b = a; b <= n; b++) {
            struct frame_reader r;
            frame_reader_init(&r);
            uint64_t next = 1;
            unsigned acks = 0;
            feed_parts(&r, stream, a, &next, &acks);
            feed_parts(&r, stream + a, b - a, &next, &acks);
            feed_parts(&r, stream + b, n - b, &next, &acks);
            ck_assert_uint_eq(next, 2 * RECORDS + 1);
            ck_assert_uint_eq(acks, 1);
            ck_assert_uint_eq(frame_reader_missing(&r), 0);
            frame_reader_fini(&r);
        }
}
END_TEST

START_TEST(a_frame_that_lies_has_no_parts)
{
    uint8_t stream[PARTS_SIZE];
    (void)make_records(stream);
    put_u32(stream + PROTO_HEADER + 8, RECORDS + 1);
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame_part part;
    struct frame f;
    const uint8_t *p = stream;
    size_t n = PROTO_HEADER + PROTO_BATCH + 2 * PROTO_UPDATE;
    ck_assert_int_eq(frame_reader_part(&r, &p, &n, &part), 0);
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 0);
    n = 2 * PROTO_UPDATE;
    ck_assert_int_eq(frame_reader_part(&r, &p, &n, &part), 0);
    ck_assert_int_eq(frame_reader_next(&r, &p, &n, &f), 1);
    ck_assert_uint_eq(f.size, PROTO_BATCH + RECORDS * PROTO_UPDATE);
    frame_reader_fini(&r);
}
END_TEST

START_TEST(what_is_missing_is_so_with_parts)
{
    uint8_t stream[PARTS_SIZE];
    (void)make_records(stream);
    struct frame_reader r;
    frame_reader_init(&r);
    struct frame_part part;
    const uint8_t *p = stream;
    size_t n = PROTO_HEADER + PROTO_BATCH + 2 * PROTO_UPDATE;
    ck_assert_int_eq(frame_reader_part(&r, &p, &n, &part), 1);
    ck_assert(!frame_reader_holds(&r, part.items));
    ck_assert_uint_eq(frame_reader_missing(&r), 2 * PROTO_UPDATE);
    ck_assert_uint_gt(r.cap, 0); /* it has begun, and counts as such */
    frame_reader_fini(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("frame");
    TCase *c = tcase_create("frame");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, any_two_cuts);
    tcase_add_test(c, byte_by_byte);
    tcase_add_test(c, records_do_not_wait_for_their_frame);
    tcase_add_test(c, a_frame_that_lies_has_no_parts);
    tcase_add_test(c, what_is_missing_is_so_with_parts);
    tcase_add_test(c, whole_frames_are_not_copied);
    tcase_add_test(c, memory_follows_the_bytes);
    tcase_add_test(c, a_part_of_a_header_is_a_frame_begun);
    tcase_add_loop_test(c, a_bad_header_ends_the_stream, 0,
                        sizeof bad_headers / sizeof *bad_headers);
    tcase_add_test(c, the_largest_frame);
    tcase_add_test(c, names);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
