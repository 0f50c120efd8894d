#include "model/tracestate.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "model/limits.h"

enum {
    MEMBERS = 32, /* W3C's limits: an intermediary may leave out what is above them */
    LONG = 128,   /* bytes of a member; longer ones are left out first */
    OT_MAX = 256, /* bytes of the value of ot */
    DIGITS = 14,  /* hexadecimal, of 56 bits */
};

static const uint64_t low56 = TRACESTATE_NEVER - 1;

/* ---- lists ---- */

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Takes the next piece off a list; false at its end. */
static bool next_piece(struct str *list, char separator, struct str *piece)
{
    if (!list->p)
        return false;
    const char *end = list->n ? memchr(list->p, separator, list->n) : NULL;
    *piece = (struct str){list->p, end ? (size_t)(end - list->p) : list->n};
    *list = end ? (struct str){end + 1, list->n - piece->n - 1} : (struct str){NULL, 0};
    return true;
}

/* The next member that is not empty. */
static bool next_member(struct str *list, struct str *member)
{
    while (next_piece(list, ',', member)) {
        *member = trim(*member);
        if (member->n > 0)
            return true;
    }
    return false;
}

static bool is_ot(struct str member)
{
    return member.n >= 3 && memcmp(member.p, "ot=", 3) == 0;
}

/* ---- the fields of ot: key:value;key:value ---- */

static bool field_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool field_ok(struct str field)
{
    const char *colon = field.n ? memchr(field.p, ':', field.n) : NULL;
    if (!colon || colon == field.p || field.p[0] < 'a' || field.p[0] > 'z')
        return false;
    for (const char *p = field.p; p < field.p + field.n; p++)
        if (p != colon && !field_char(*p))
            return false;
    return true;
}

static bool ot_ok(struct str ot)
{
    struct str field;
    if (ot.n == 0 || ot.n > OT_MAX)
        return false;
    while (next_piece(&ot, ';', &field))
        if (!field_ok(field))
            return false;
    return true;
}

/* The value of the first ot that has its form; empty without one. */
static struct str ot_of(struct str tracestate)
{
    struct str member;
    while (next_member(&tracestate, &member)) {
        const struct str ot = {member.p + 3, member.n - 3};
        if (is_ot(member))
            return ot_ok(ot) ? ot : (struct str){NULL, 0};
    }
    return (struct str){NULL, 0};
}

static bool field_is(struct str field, const char *key)
{
    return field.n >= 3 && memcmp(field.p, key, 3) == 0;
}

/* Lower-case digits only; `n` of them, at most DIGITS. */
static bool read_hex(struct str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > DIGITS)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return true;
}

void tracestate_read(struct str tracestate, struct tracestate_ot *out)
{
    *out = (struct tracestate_ot){0};
    struct str ot = ot_of(tracestate), field;
    while (ot.n && next_piece(&ot, ';', &field)) {
        const struct str value = {field.p + 3, field.n < 3 ? 0 : field.n - 3};
        if (field_is(field, "th:") && read_hex(value, &out->threshold)) {
            out->threshold <<= 4 * (DIGITS - value.n);
            out->has_threshold = true;
        } else if (field_is(field, "rv:") && value.n == DIGITS) {
            out->has_random = read_hex(value, &out->random);
        }
    }
}

/* ---- writing ---- */

/* th:0, th:8, th:e666: without the zeros at the end. */
static void add_threshold(struct buf *to, uint64_t threshold)
{
    static const char digits[] = "0123456789abcdef";
    buf_adds(to, "th:");
    unsigned shift = 4 * DIGITS;
    do {
        shift -= 4;
        buf_addc(to, digits[threshold >> shift & 15]);
    } while (shift > 0 && (threshold & ((UINT64_C(1) << shift) - 1)) != 0);
}

/* The ot member, or nothing when it has no field. What would make it too long is
 * left out. */
static void add_ot(struct buf *to, struct str tracestate, uint64_t threshold)
{
    struct str ot = ot_of(tracestate), field;
    const size_t begin = to->n;
    buf_adds(to, "ot=");
    if (threshold < TRACESTATE_NEVER)
        add_threshold(to, threshold);
    while (ot.n && next_piece(&ot, ';', &field)) {
        const size_t n = to->n - begin - 3;
        if (field_is(field, "th:") || n + 1 + field.n > OT_MAX)
            continue;
        if (n > 0)
            buf_addc(to, ';');
        buf_addstr(to, field);
    }
    if (to->n == begin + 3)
        to->n = begin;
}

/* How long the members but ot are, with a comma each, and how many. */
static size_t others(struct str tracestate, unsigned *count)
{
    struct str member;
    size_t n = 0;
    *count = 0;
    while (next_member(&tracestate, &member)) {
        if (is_ot(member))
            continue;
        n += 1 + member.n;
        (*count)++;
    }
    return n;
}

void tracestate_with(struct buf *to, struct str tracestate, uint64_t threshold)
{
    struct str member;
    const size_t begin = to->n;
    unsigned count, used;
    add_ot(to, tracestate, threshold);
    used = to->n > begin;
    const size_t all = to->n - begin + others(tracestate, &count);
    const bool fits = all <= LIMIT_TRACESTATE && count + used <= MEMBERS;
    while (next_member(&tracestate, &member)) {
        if (is_ot(member) || (!fits && member.n > LONG))
            continue;
        if (to->n - begin + 1 + member.n > LIMIT_TRACESTATE || used == MEMBERS)
            break;
        if (used++ > 0)
            buf_addc(to, ',');
        buf_addstr(to, member);
    }
}

/* ---- probabilities ---- */

uint64_t tracestate_threshold(double p)
{
    if (!(p > 0))
        return TRACESTATE_NEVER;
    if (p >= 1)
        return 0;
    return TRACESTATE_NEVER - (uint64_t)llrint(p * (double)TRACESTATE_NEVER);
}

double tracestate_probability(uint64_t threshold)
{
    if (threshold >= TRACESTATE_NEVER)
        return 0;
    return (double)(TRACESTATE_NEVER - threshold) / (double)TRACESTATE_NEVER;
}

uint64_t tracestate_random(const uint8_t trace_id[16], const struct tracestate_ot *ot)
{
    uint64_t v;
    if (ot->has_random)
        return ot->random;
    memcpy(&v, trace_id + 8, sizeof v);
    return be64toh(v) & low56;
}
