#include "mcp/json.h"

#include <assert.h>
#include <string.h>

enum state {
    START,       /* before the root value */
    VALUE,       /* a value must come */
    FIRST_VALUE, /* after '[': a value or ']' */
    FIRST_KEY,   /* after '{': a key or '}' */
    NEXT_KEY,    /* after ',' in an object */
    COLON,       /* after a key */
    AFTER,       /* after a value inside a container */
    IN_STRING,   /* in a key or string */
    ESCAPE,      /* after a backslash */
    UNICODE,     /* in the four digits of \u */
    IN_NUMBER,
    IN_LITERAL,
    DEEP, /* below JSON_DEPTH: brackets are counted, nothing else is looked at */
    DEEP_STRING,
    DEEP_ESCAPE,
    DONE, /* the root value is complete */
    BAD,  /* not JSON */
    STATES
};

/* The states of a number, and which of them may be its last. */
enum { NUM_END, NUM_MINUS, NUM_ZERO, NUM_INT, NUM_DOT, NUM_FRACTION, NUM_E, NUM_E_SIGN, NUM_EXP };
enum { CLASS_OTHER, CLASS_MINUS, CLASS_PLUS, CLASS_ZERO, CLASS_DIGIT, CLASS_DOT, CLASS_E, CLASSES };

static const uint8_t number_next[][CLASSES] = {
    /*                 other, -, +, 0, 1-9, ., e */
    [NUM_MINUS] = {0, 0, 0, NUM_ZERO, NUM_INT, 0, 0},
    [NUM_ZERO] = {0, 0, 0, 0, 0, NUM_DOT, NUM_E},
    [NUM_INT] = {0, 0, 0, NUM_INT, NUM_INT, NUM_DOT, NUM_E},
    [NUM_DOT] = {0, 0, 0, NUM_FRACTION, NUM_FRACTION, 0, 0},
    [NUM_FRACTION] = {0, 0, 0, NUM_FRACTION, NUM_FRACTION, 0, NUM_E},
    [NUM_E] = {0, NUM_E_SIGN, NUM_E_SIGN, NUM_EXP, NUM_EXP, 0, 0},
    [NUM_E_SIGN] = {0, 0, 0, NUM_EXP, NUM_EXP, 0, 0},
    [NUM_EXP] = {0, 0, 0, NUM_EXP, NUM_EXP, 0, 0},
};

static bool number_may_end(unsigned number)
{
    return number == NUM_ZERO || number == NUM_INT || number == NUM_FRACTION || number == NUM_EXP;
}

static unsigned number_class(char c)
{
    switch (c) {
    case '-':
        return CLASS_MINUS;
    case '+':
        return CLASS_PLUS;
    case '0':
        return CLASS_ZERO;
    case '.':
        return CLASS_DOT;
    case 'e':
    case 'E':
        return CLASS_E;
    default:
        return c >= '1' && c <= '9' ? CLASS_DIGIT : CLASS_OTHER;
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

static const char *bad(struct json *j, const char *p)
{
    j->state = BAD;
    return p;
}

static uint64_t offset_of(const struct json *j, const char *p)
{
    return j->fed + (uint64_t)(p - j->piece);
}

/* ---- containers ---- */

static bool in_object(const struct json *j)
{
    uint32_t level = j->depth - 1;
    return j->objects[level / 64] >> (level % 64) & 1;
}

static void value_ended(struct json *j)
{
    j->state = j->depth == 0 ? DONE : AFTER;
}

static const char *open_container(struct json *j, const char *p)
{
    if (j->depth >= JSON_DEPTH) {
        j->depth++;
        j->state = DEEP;
        return p + 1;
    }
    bool object = *p == '{';
    j->listener->open(j->arg, object, j->depth, offset_of(j, p));
    uint64_t bit = UINT64_C(1) << (j->depth % 64);
    uint64_t *word = &j->objects[j->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    j->depth++;
    j->state = object ? FIRST_KEY : FIRST_VALUE;
    return p + 1;
}

static const char *close_container(struct json *j, const char *p)
{
    if (in_object(j) != (*p == '}'))
        return bad(j, p);
    j->depth--;
    j->listener->close(j->arg, j->depth, offset_of(j, p));
    value_ended(j);
    return p + 1;
}

/* ---- scalars ---- */

static void begin_scalar(struct json *j, enum json_scalar kind, enum state state)
{
    j->key = kind == JSON_KEY;
    j->wanted = j->listener->begin(j->arg, kind, j->depth);
    j->state = (uint8_t)state;
}

static void scalar_ended(struct json *j)
{
    if (j->wanted)
        j->listener->end(j->arg);
    if (j->key)
        j->state = COLON;
    else
        value_ended(j);
}

static void hand_out(struct json *j, const char *p, size_t n)
{
    if (j->wanted && n)
        j->listener->text(j->arg, p, n);
}

static const char *begin_literal(struct json *j, const char *p, const char *literal)
{
    j->literal = literal;
    j->matched = 0;
    begin_scalar(j, JSON_LITERAL, IN_LITERAL);
    return p;
}

static const char *begin_value(struct json *j, const char *p)
{
    switch (*p) {
    case '{':
    case '[':
        return open_container(j, p);
    case '"':
        begin_scalar(j, JSON_STRING, IN_STRING);
        return p + 1;
    case 't':
        return begin_literal(j, p, "true");
    case 'f':
        return begin_literal(j, p, "false");
    case 'n':
        return begin_literal(j, p, "null");
    default:
        break;
    }
    j->number = NUM_MINUS;
    if (*p != '-' && !number_next[NUM_MINUS][number_class(*p)])
        return bad(j, p);
    begin_scalar(j, JSON_NUMBER, IN_NUMBER);
    if (*p != '-')
        return p;
    hand_out(j, p, 1);
    return p + 1;
}

/* ---- strings ---- */

static bool plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* Most bytes of a large message are the plain insides of strings: eight a step. */
static const char *skip_plain(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
        uint64_t hit =
            ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((w - ones * 0x20) & ~w);
        if (hit & highs)
            break;
        p += 8;
    }
    while (p < end && plain((unsigned char)*p))
        p++;
    return p;
}

static void hand_out_code_point(struct json *j, uint32_t c)
{
    char to[4];
    if (c < 0x80) {
        to[0] = (char)c;
        hand_out(j, to, 1);
    } else if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        hand_out(j, to, 2);
    } else if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        hand_out(j, to, 3);
    } else {
        to[0] = (char)(0xF0 | c >> 18);
        to[1] = (char)(0x80 | (c >> 12 & 0x3F));
        to[2] = (char)(0x80 | (c >> 6 & 0x3F));
        to[3] = (char)(0x80 | (c & 0x3F));
        hand_out(j, to, 4);
    }
}

static void drop_lone_surrogate(struct json *j)
{
    if (j->high)
        hand_out_code_point(j, 0xFFFD);
    j->high = 0;
}

static void unicode_ended(struct json *j)
{
    uint32_t unit = j->unit;
    bool low = unit >= 0xDC00 && unit < 0xE000;
    j->state = IN_STRING;
    if (low && j->high) {
        uint32_t c = 0x10000 + ((uint32_t)(j->high - 0xD800) << 10) + (unit - 0xDC00);
        j->high = 0;
        hand_out_code_point(j, c);
        return;
    }
    drop_lone_surrogate(j);
    if (unit >= 0xD800 && unit < 0xDC00)
        j->high = j->unit;
    else
        hand_out_code_point(j, low ? 0xFFFD : unit);
}

static const char *in_string(struct json *j, const char *p, const char *end)
{
    if (*p == '\\') {
        j->state = ESCAPE;
        return p + 1;
    }
    drop_lone_surrogate(j);
    if (*p == '"') {
        scalar_ended(j);
        return p + 1;
    }
    const char *from = p;
    p = skip_plain(p, end);
    hand_out(j, from, (size_t)(p - from));
    if (p == end || *p == '"' || *p == '\\')
        return p;
    return bad(j, p);
}

static const char *in_escape(struct json *j, const char *p, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    (void)end;
    if (*p == 'u') {
        j->state = UNICODE;
        j->digits = 0;
        j->unit = 0;
        return p + 1;
    }
    const char *at = *p ? strchr(from, *p) : NULL;
    if (!at)
        return bad(j, p);
    drop_lone_surrogate(j);
    hand_out(j, to + (at - from), 1);
    j->state = IN_STRING;
    return p + 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *in_unicode(struct json *j, const char *p, const char *end)
{
    (void)end;
    int digit = hex_digit(*p);
    if (digit < 0)
        return bad(j, p);
    j->unit = (uint16_t)(j->unit << 4 | digit);
    if (++j->digits == 4)
        unicode_ended(j);
    return p + 1;
}

/* ---- the other states ---- */

static const char *at_value(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    return p == end ? p : begin_value(j, p);
}

static const char *at_first_value(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p == end)
        return p;
    return *p == ']' ? close_container(j, p) : begin_value(j, p);
}

static const char *at_next_key(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p == end)
        return p;
    if (*p != '"')
        return bad(j, p);
    begin_scalar(j, JSON_KEY, IN_STRING);
    return p + 1;
}

static const char *at_first_key(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    return p < end && *p == '}' ? close_container(j, p) : at_next_key(j, p, end);
}

static const char *at_colon(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p == end)
        return p;
    if (*p != ':')
        return bad(j, p);
    j->state = VALUE;
    return p + 1;
}

static const char *at_after(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    if (p == end)
        return p;
    if (*p == '}' || *p == ']')
        return close_container(j, p);
    if (*p != ',')
        return bad(j, p);
    j->state = in_object(j) ? NEXT_KEY : VALUE;
    return p + 1;
}

static const char *in_number(struct json *j, const char *p, const char *end)
{
    const char *from = p;
    unsigned number = j->number;
    for (; p < end; p++) {
        unsigned next = number_next[number][number_class(*p)];
        if (next == NUM_END)
            break;
        number = next;
    }
    j->number = (uint8_t)number;
    hand_out(j, from, (size_t)(p - from));
    if (p == end)
        return p;
    if (!number_may_end(number))
        return bad(j, p);
    scalar_ended(j);
    return p;
}

static const char *in_literal(struct json *j, const char *p, const char *end)
{
    (void)end;
    if (*p != j->literal[j->matched])
        return bad(j, p);
    if (!j->literal[++j->matched]) {
        hand_out(j, j->literal, j->matched);
        scalar_ended(j);
    }
    return p + 1;
}

static const char *in_deep(struct json *j, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p == '"') {
            j->state = DEEP_STRING;
            return p + 1;
        }
        if (*p == '{' || *p == '[') {
            if (++j->depth > JSON_DEPTH_MAX)
                return bad(j, p);
        } else if ((*p == '}' || *p == ']') && --j->depth == JSON_DEPTH) {
            j->state = AFTER;
            return p + 1;
        }
    }
    return p;
}

static const char *in_deep_string(struct json *j, const char *p, const char *end)
{
    p = skip_plain(p, end);
    if (p == end)
        return p;
    if (*p != '"' && *p != '\\')
        return bad(j, p);
    j->state = *p == '"' ? DEEP : DEEP_ESCAPE;
    return p + 1;
}

static const char *in_deep_escape(struct json *j, const char *p, const char *end)
{
    (void)end;
    j->state = DEEP_STRING;
    return p + 1;
}

static const char *at_end(struct json *j, const char *p, const char *end)
{
    p = skip_space(p, end);
    return p == end ? p : bad(j, p);
}

/* Each is called with p < end and returns where to go on. */
typedef const char *step(struct json *j, const char *p, const char *end);

static step *const steps[STATES] = {
    [START] = at_value,
    [VALUE] = at_value,
    [FIRST_VALUE] = at_first_value,
    [FIRST_KEY] = at_first_key,
    [NEXT_KEY] = at_next_key,
    [COLON] = at_colon,
    [AFTER] = at_after,
    [IN_STRING] = in_string,
    [ESCAPE] = in_escape,
    [UNICODE] = in_unicode,
    [IN_NUMBER] = in_number,
    [IN_LITERAL] = in_literal,
    [DEEP] = in_deep,
    [DEEP_STRING] = in_deep_string,
    [DEEP_ESCAPE] = in_deep_escape,
    [DONE] = at_end,
};

void json_init(struct json *j, const struct json_listener *listener, void *arg)
{
    *j = (struct json){.listener = listener, .arg = arg, .state = START};
}

void json_reset(struct json *j)
{
    json_init(j, j->listener, j->arg);
}

bool json_feed(struct json *j, const char *p, size_t n)
{
    const char *end = p + n;
    j->piece = p;
    while (p < end && j->state != BAD)
        p = steps[j->state](j, p, end);
    j->fed += n;
    return j->state != BAD;
}

bool json_finish(struct json *j)
{
    if (j->state == IN_NUMBER && j->depth == 0 && number_may_end(j->number))
        scalar_ended(j);
    return j->state == DONE;
}

bool json_blank(const struct json *j)
{
    return j->state == START;
}
