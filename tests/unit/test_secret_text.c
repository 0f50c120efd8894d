/* secret_text, with text_view and secret_token below it: a text and what is left of it. */
#include "pipeline/secret_text.h"

#include <check.h>
#include <stdlib.h>

#include "base/buf.h"

static struct secret_keys *keys;
static struct secret_tokens tokens;

static void setup(void)
{
    keys = secret_keys_new(NULL, 0, NULL, 0);
    secret_tokens_init(&tokens);
    ck_assert_ptr_nonnull(keys);
}

static void teardown(void)
{
    secret_keys_free(keys);
}

/* The text with '#' for each secret. */
static void hide(struct str text, struct buf *out)
{
    struct secret_text t;
    struct secret_place p;
    size_t done = 0;
    ck_assert_int_eq(secret_text_init(&t, keys, &tokens, text), 0);
    while (secret_text_next(&t, &p)) {
        ck_assert_uint_le(done, p.from);
        ck_assert_uint_lt(p.from, p.to);
        ck_assert_uint_le(p.to, text.n);
        buf_add(out, text.p + done, p.from - done);
        buf_addc(out, '#');
        done = p.to;
    }
    buf_add(out, text.p + done, text.n - done);
    secret_text_fini(&t);
}

#define GHP "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF_-123"

static const struct {
    const char *text, *left; /* left NULL: the same */
} cases[] = {
    /* said in a sentence */
    {"the password is hunter2, try it", "the password is #, try it"},
    {"The API key is now x9y8z7", "The API key is now #"},
    {"password is \"open sesame\"", "password is \"#\""},
    {"your token is eNt3rPrise.", "your token is #"},
    {"password is invalid", NULL},
    {"the token is a word", NULL},
    {"the password is case-sensitive", NULL},
    {"token count is 123456", NULL},
    {"this key is Xyz123", NULL},
    {"is password1", NULL},
    {"password is", NULL},
    /* places in source files */
    {"secrets.c:85:40: note", NULL},
    {"at token.go:123456 in f", NULL},
    {"secrets.conf:85x40", "secrets.conf:#"},
    /* key = value in its many forms */
    {"password=hunter2", "password=#"},
    {"user=bob password=abc,def host=x", "user=bob password=# host=x"},
    {"a;Password=b;Timeout=3", "a;Password=#;Timeout=3"},
    {"Password: hunter2, user: bob", "Password: #, user: bob"},
    {"with password=\"a b c\" ok", "with password=\"#\" ok"},
    {"password == \"x\"", "password == \"#\""},
    {"secret => 'x'", "secret => '#'"},
    {"secret := y9", "secret := #"},
    {"(password=abc)", "(password=#)"},
    {"os.environ['API_TOKEN'] = 'abc'", "os.environ['API_TOKEN'] = '#'"},
    {"map[password:hunter2 user:bob]", "map[password:# user:bob]"},
    {"API key: abcd1234efgh", "API key: #"},
    {"cmd --api-key abc123 --verbose", "cmd --api-key # --verbose"},
    {"cmd --password --verbose", NULL},
    {"<a><password>hunter2</password></a>", "<a><password>#</password></a>"},
    {"<x:secret>s</x:secret>", "<x:secret>#</x:secret>"},
    {"PWD=/home/me DB_PWD=/x", "PWD=/home/me DB_PWD=#"},
    /* what is no value */
    {"password: must be longer", NULL},
    {"Password:", NULL},
    {"password=", NULL},
    {"password = None", NULL},
    {"std::secret::reveal", NULL},
    {"token:refresh", NULL},
    {"unexpected token: foo", NULL},
    {"password=[REDACTED] token=****", NULL},
    {"https://host/?password=[REDACTED]", NULL},
    {"input_tokens=512 token=77", NULL},
    /* JSON, and JSON in it */
    {"{\"password\" : \"x\",\"n\":1}", "{\"password\" : \"#\",\"n\":1}"},
    {"{\"password\":12345678,\"x\":1}", "{\"password\":#,\"x\":1}"},
    {"{\"token\":512}", NULL},
    {"{\"password\":\"a\\\"b\",\"x\":1}", "{\"password\":\"#\",\"x\":1}"},
    {"{\"password\":\"a\\\\\",\"x\":1}", "{\"password\":\"#\",\"x\":1}"},
    {"\"{\\\"password\\\":\\\"a\\\\\\\"b\\\",\\\"k\\\":1}\"",
     "\"{\\\"password\\\":\\\"#\\\",\\\"k\\\":1}\""},
    {"\"{\\\"password\\\":\\\"a\\\\\\\\\\\",\\\"k\\\":1}\"",
     "\"{\\\"password\\\":\\\"#\\\",\\\"k\\\":1}\""},
    {"{\"secret\":[\"a\",\"]\"],\"k\":1}", "{\"secret\":#,\"k\":1}"},
    {"{\"secrets\":{\"db\":\"}\"},\"k\":1}", "{\"secrets\":#,\"k\":1}"},
    {"{\"password\":{\"type\":\"string\"}}", NULL},
    {"{\"required\":[\"password\",\"user\"]}", NULL},
    {"{\"secrets\":[],\"k\":1}", NULL},
    {"{\"name\":\"DB_PASSWORD\",\"value\":\"x\"}", "{\"name\":\"DB_PASSWORD\",\"value\":\"#\"}"},
    {"{\"name\":\"HOME\",\"value\":\"x\"}", NULL},
    {"{\"type\":\"token\",\"value\":\"(\"}", NULL},
    {"[\"--password\",\"hunter2\",\"-v\"]", "[\"--password\",\"#\",\"-v\"]"},
    {"{\\u0022password\\u0022:\\u0022h\\u0022}", "{\\u0022password\\u0022:\\u0022#\\u0022}"},
    {"{\"log\":\"a\\npassword=x\",\"n\":1}", "{\"log\":\"a\\npassword=#\",\"n\":1}"},
    {"{\"password\":\"cut off here", "{\"password\":\"#"},
    {"{'password': 'it\\'s'}", "{'password': '#'}"},
    /* headers */
    {"Authorization: Digest user=\"x\", response=\"y\"", "Authorization: #"},
    {"curl -H 'Authorization: token x1' http://x/", "curl -H 'Authorization: #' http://x/"},
    {"curl -H \"Cookie: a=\\\"b c\\\"; d=e\" http://x/", "curl -H \"Cookie: #\" http://x/"},
    {"Cookie: a=b; c=d\nHost: x", "Cookie: #\nHost: x"},
    {"Authorization: required", NULL},
    {"sent Bearer abcdef123 twice", "sent Bearer # twice"},
    {"bearer%20abcdef123", "bearer%20#"},
    {"Bearer authentication, bearer plants, a bearer token", NULL},
    {"Basic dXNlcjpwYXNz", "Basic #"},
    {"Basic knowledge of BASIC programs", NULL},
    /* marked tokens */
    {"see " JWT ".", "see #"},
    {GHP " AKIAIOSFODNN7EXAMPLE", "# #"},
    {"a/" GHP "/b", "a/#/b"},
    {"line\\n" GHP, "line\\n#"},
    {"x%3D" GHP "%26", "x%3D#%26"},
    {"key sk-proj-abcdefGHIJ1234567890abcd ok", "key # ok"},
    {"task-1234567890123456 sk-learn-contrib-project", NULL},
    {"ghp_short AKIAtoolong0000000000 eyJ.x", NULL},
    {"123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1", "#"},
    {"-----BEGIN RSA PRIVATE KEY-----\\nMI\\n-----END RSA PRIVATE KEY----- x", "# x"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3", "#"},
    {"-----BEGIN PUBLIC KEY-----\nMI\n-----END PUBLIC KEY-----", NULL},
    /* URLs */
    {"https://u:p%40ss@host/p?token=abcd&x=1", "https://u:#@host/p?token=#&x=1"},
    {"postgres://u:p/w#x@host:5432/db", "postgres://u:#@host:5432/db"},
    {"https%3A%2F%2Fu%3Ap%40h%2Fx", "https%3A%2F%2Fu%3A#%40h%2Fx"},
    {"r=http%3A%2F%2Fx%3Fpassword%3Dabc%26u%3Db&n=1",
     "r=http%3A%2F%2Fx%3Fpassword%3D#%26u%3Db&n=1"},
    {"a%253Dpassword%253Dx%2526b%253D1", "a%253Dpassword%253D#%2526b%253D1"},
    {"password=ab%26cd%3De&x=1", "password=#&x=1"},
    {"{\"u\":\"https:\\/\\/bob:pw@host\\/x\"}", "{\"u\":\"https:\\/\\/bob:#@host\\/x\"}"},
    {"https://9f86d081884c7d659a2f@sentry.example/1", "https://#@sentry.example/1"},
    {"http://host:8080/a@b http://[::1]:80/@ ssh://git@host/x", NULL},
    {"root:hunter2@tcp(127.0.0.1:3306)/db", "root:#@tcp(127.0.0.1:3306)/db"},
    /* neither */
    {"", NULL},
    {"%", NULL},
    {"100%25 of 5%", NULL},
    {"\\", NULL},
    {"=:=:--::>@", NULL},
    {"d41d8cd98f00b204e9800998ecf8427e 123e4567-e89b-12d3-a456-426614174000", NULL},
    {"author=me keyboard: x monkey=1 secretary=y compass: north", NULL},
    {"mcp.session.id=abc-123 jsonrpc.request.id=7 progressToken: 4", NULL},
};

START_TEST(texts)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    hide(str_of(cases[_i].text), &out);
    const char *want = cases[_i].left ? cases[_i].left : cases[_i].text;
    ck_assert_msg(str_eq(buf_str(&out), str_of(want)), "'%s' became '%.*s'", cases[_i].text,
                  STR_ARG(buf_str(&out)));
    buf_fini(&out);
}
END_TEST

/* Text cut anywhere, and every byte changed in turn, stays inside its bounds:
 * under the sanitizers this is a search for overruns. */
START_TEST(damaged)
{
    const char *text = cases[_i].text;
    const size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        for (size_t at = 0; at < cut; at++) {
            char *copy = malloc(cut);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, text, cut);
            copy[at] = "\\%\"=:@-\n"[(at + cut) % 8];
            struct buf out;
            buf_init(&out, 1 << 16);
            hide((struct str){copy, cut}, &out);
            buf_fini(&out);
            free(copy);
        }
    }
}
END_TEST

/* Texts made to be walked again and again. The time limit of a test case is
 * seconds; a quadratic walk over a megabyte takes hours. */
static const char *const hostile[] = {
    "auth=",
    "auth=\"",
    "auth=%61",
    "password:",
    "://",
    "a://b:c/",
    "-----BEGIN ",
    "--auth ",
    "<auth>x",
    "[{",
    "\\",
    "%25",
    "\"auth\":[{",
    ",",
    "Bearer ",
    "Basic a",
    "eyJ",
    "a:b@tcp",
    "Cookie: \"",
    "auth='\\",
    "%22auth%22:%22",
    "\\\\\"auth\\\\\":\\\\\"",
    "auth: a%20",
};

START_TEST(linear)
{
    const size_t unit = strlen(hostile[_i]), n = 1 << 20;
    char *text = malloc(n);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < n; i++)
        text[i] = hostile[_i][i % unit];
    struct buf out;
    buf_init(&out, 16 * n);
    hide((struct str){text, n}, &out);
    ck_assert_uint_gt(out.n, 0);
    buf_fini(&out);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("secret_text");
    TCase *t = tcase_create("texts");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, texts, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, damaged, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(t, linear, 0, sizeof hostile / sizeof *hostile);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
