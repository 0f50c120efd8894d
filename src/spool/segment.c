#include "spool/segment.h"

#include <string.h>

#include "base/bytes.h"
#include "spool/crc32c.h"

static const uint8_t magic[8] = "MCPTSPL";

static bool believe(bool good)
{
#ifdef MCPTALLY_SIM
    return sim_spool_believes(good);
#else
    return good;
#endif
}

static void put_point(uint8_t *to, const struct point *p)
{
    put_u64(to, p->seq);
    put_u64(to + 8, p->records);
    put_u64(to + 16, p->items);
}

static struct point get_point(const uint8_t *p)
{
    return (struct point){get_u64(p), get_u64(p + 8), get_u64(p + 16)};
}

/* The last four bytes are the checksum of the others. */
static void seal(uint8_t *p, size_t n)
{
    put_u32(p + n - 4, crc32c(0, p, n - 4));
}

static bool sealed(const uint8_t *p, size_t n)
{
    return believe(get_u32(p + n - 4) == crc32c(0, p, n - 4));
}

void segment_head_write(uint8_t to[SEGMENT_HEAD], const struct segment_head *h)
{
    memcpy(to, magic, sizeof magic);
    put_u32(to + 8, SEGMENT_VERSION);
    put_u32(to + 12, h->turn);
    put_u64(to + 16, h->salt);
    put_point(to + 24, &h->first);
    put_point(to + 48, &h->kept);
    put_point(to + 72, &h->mark);
    put_point(to + 96, &h->sure);
    put_point(to + 120, &h->durable);
    put_u32(to + 144, 0);
    seal(to, SEGMENT_HEAD);
}

void segment_block_write(uint8_t to[SEGMENT_BLOCK], const struct segment_head *h)
{
    memset(to, 0, SEGMENT_BLOCK);
    segment_head_write(to, h);
    segment_head_write(to + SEGMENT_TWIN, h);
}

bool segment_head_read(struct segment_head *h, const uint8_t from[SEGMENT_HEAD])
{
    if (memcmp(from, magic, sizeof magic) != 0 || get_u32(from + 8) != SEGMENT_VERSION ||
        !sealed(from, SEGMENT_HEAD))
        return false;
    h->turn = get_u32(from + 12);
    h->salt = get_u64(from + 16);
    h->first = get_point(from + 24);
    h->kept = get_point(from + 48);
    h->mark = get_point(from + 72);
    h->sure = get_point(from + 96);
    h->durable = get_point(from + 120);
    return true;
}

void record_head_write(uint8_t to[RECORD_HEAD], const struct record_head *h)
{
    put_u64(to, h->salt);
    put_point(to + 8, &h->at);
    put_point(to + 32, &h->kept);
    put_u64(to + 56, h->written);
    put_u32(to + 64, h->length);
    put_u32(to + 68, h->items);
    put_u32(to + 72, h->payload_sum);
    put_u32(to + 76, h->signal);
    put_u32(to + 80, 0);
    seal(to, RECORD_HEAD);
}

bool record_head_read(struct record_head *h, const uint8_t from[RECORD_HEAD], uint64_t salt)
{
    if (get_u64(from) != salt || !sealed(from, RECORD_HEAD))
        return false;
    h->salt = salt;
    h->at = get_point(from + 8);
    h->kept = get_point(from + 32);
    h->written = get_u64(from + 56);
    h->length = get_u32(from + 64);
    h->items = get_u32(from + 68);
    h->payload_sum = get_u32(from + 72);
    h->signal = from[76];
    return true;
}

bool record_payload_good(const struct record_head *h, const void *payload)
{
    return believe(crc32c(0, payload, h->length) == h->payload_sum);
}
