#include "spool/crc32c.h"

#include <string.h>

/* Four bits at a time: 64 bytes of table, for machines without the instruction. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t before, const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t c = ~before;
    for (size_t i = 0; i < n; i++) {
        c ^= b[i];
        c = c >> 4 ^ nibbles[c & 15];
        c = c >> 4 ^ nibbles[c & 15];
    }
    return ~c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t before, const uint8_t *p,
                                                                 size_t n)
{
    uint64_t c = (uint32_t)~before;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        c = _mm_crc32_u64(c, v);
    }
    uint32_t r = (uint32_t)c;
    for (; n > 0; p++, n--)
        r = _mm_crc32_u8(r, *p);
    return ~r;
}

uint32_t crc32c(uint32_t before, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(before, p, n)
                                            : crc32c_portable(before, p, n);
}
#else
uint32_t crc32c(uint32_t before, const void *p, size_t n)
{
    return crc32c_portable(before, p, n);
}
#endif
