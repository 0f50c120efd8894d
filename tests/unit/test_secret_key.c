#include "pipeline/secret_key.h"

#include <check.h>
#include <stdlib.h>

static const struct {
    const char *key;
    enum secret_grade grade;
} graded[] = {
    {"password", GRADE_SECRET},
    {"PASSWORD", GRADE_SECRET},
    {"db.password", GRADE_SECRET},
    {"userPassword2", GRADE_SECRET},
    {"PGPASSWORD", GRADE_SECRET},
    {"password_hash", GRADE_SECRET},
    {"mysql-root-passwd", GRADE_SECRET},
    {"MYSQL_PWD", GRADE_SECRET},
    {"pwd", GRADE_DIR},
    {"ssh.passphrase", GRADE_SECRET},
    {"secret", GRADE_SECRET},
    {"clientSecret", GRADE_SECRET},
    {"client_secret", GRADE_SECRET},
    {"apiKey", GRADE_SECRET},
    {"APIKey", GRADE_SECRET},
    {"api-key", GRADE_SECRET},
    {"x-goog-api-key", GRADE_SECRET},
    {"API key", GRADE_SECRET},
    {"XAPIKEY", GRADE_SECRET},
    {"aws_secret_access_key", GRADE_SECRET},
    {"AccessKeyId", GRADE_SECRET},
    {"private/key", GRADE_SECRET},
    {"session.key", GRADE_SECRET},
    {"credentials", GRADE_SECRET},
    {"token", GRADE_TOKEN},
    {"accessToken", GRADE_TOKEN},
    {"csrftoken", GRADE_TOKEN},
    {"GITHUB_TOKEN", GRADE_TOKEN},
    {"db_pass", GRADE_TOKEN},
    {"authorization", GRADE_LINE},
    {"http.request.header.authorization", GRADE_LINE},
    {"Proxy-Authorization", GRADE_LINE},
    {"Set-Cookie", GRADE_LINE},
    {"auth", GRADE_RANDOM},
    {"signature", GRADE_RANDOM},

    {"", GRADE_NONE},
    {"...", GRADE_NONE},
    {"author", GRADE_NONE},
    {"authority", GRADE_NONE},
    {"server.address", GRADE_NONE},
    {"tokens", GRADE_NONE},
    {"gen_ai.usage.input_tokens", GRADE_NONE},
    {"max_token", GRADE_NONE},
    {"max_token_count", GRADE_NONE},
    {"token_type", GRADE_NONE},
    {"tokenizer", GRADE_NONE},
    {"progressToken", GRADE_NONE},
    {"next_page_token", GRADE_NONE},
    {"keyboard", GRADE_NONE},
    {"key", GRADE_NONE},
    {"public_key", GRADE_NONE},
    {"secretary", GRADE_NONE},
    {"secret_name", GRADE_NONE},
    {"password_policy", GRADE_NONE},
    {"authorization_url", GRADE_NONE},
    {"auth.method", GRADE_NONE},
    {"compass", GRADE_NONE},
    {"bypass", GRADE_NONE},
    {"passed", GRADE_NONE},
    {"mcp.session.id", GRADE_NONE},
    {"jsonrpc.request.id", GRADE_NONE},
    {"mcp.method.name", GRADE_NONE},
    {"gen_ai.tool.name", GRADE_NONE},
    {"monkey", GRADE_NONE},
    {"design", GRADE_NONE},
};

START_TEST(grades)
{
    struct secret_keys *k = secret_keys_new(NULL, 0, NULL, 0);
    ck_assert_ptr_nonnull(k);
    const enum secret_grade g = secret_key_grade(k, str_of(graded[_i].key));
    ck_assert_msg(g == graded[_i].grade, "'%s' is %d, not %d", graded[_i].key, (int)g,
                  (int)graded[_i].grade);
    secret_keys_free(k);
}
END_TEST

START_TEST(configured)
{
    const struct str extra[] = {STR("badge_number"), STR("")};
    const struct str allow[] = {STR("token"), STR("git.secret")};
    struct secret_keys *k = secret_keys_new(extra, 2, allow, 2);
    ck_assert_int_eq(secret_key_grade(k, STR("user.badgeNumber")), GRADE_SECRET);
    ck_assert_int_eq(secret_key_grade(k, STR("badge")), GRADE_NONE);
    ck_assert_int_eq(secret_key_grade(k, STR("badge_numbers")), GRADE_NONE);
    ck_assert_int_eq(secret_key_grade(k, STR("Token")), GRADE_NONE);
    ck_assert_int_eq(secret_key_grade(k, STR("git/secret")), GRADE_NONE);
    ck_assert_int_eq(secret_key_grade(k, STR("access_token")), GRADE_TOKEN);
    ck_assert_int_eq(secret_key_grade(k, STR("password")), GRADE_SECRET);
    secret_keys_free(k);
}
END_TEST

/* Only the end of a long key counts, and no key overruns the words. */
START_TEST(long_keys)
{
    struct secret_keys *k = secret_keys_new(NULL, 0, NULL, 0);
    char key[1000];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = i % 2 ? 'a' : 'B';
    memcpy(key + sizeof key - 9, ".password", 9);
    ck_assert_int_eq(secret_key_grade(k, (struct str){key, sizeof key}), GRADE_SECRET);
    ck_assert_int_eq(secret_key_grade(k, (struct str){key, sizeof key - 9}), GRADE_NONE);
    secret_keys_free(k);
}
END_TEST

static const struct {
    enum secret_grade grade;
    const char *value;
    bool secret;
} valued[] = {
    {GRADE_NONE, "hunter2", false},
    {GRADE_SECRET, "hunter2", true},
    {GRADE_SECRET, "x", true},
    {GRADE_SECRET, "12345", true},
    {GRADE_SECRET, "", false},
    {GRADE_SECRET, "True", false},
    {GRADE_SECRET, "null", false},
    {GRADE_SECRET, "********", false},
    {GRADE_SECRET, "xxxx", false},
    {GRADE_SECRET, "[REDACTED]", false},
    {GRADE_TOKEN, "abc", true},
    {GRADE_TOKEN, "1024", false},
    {GRADE_TOKEN, "123456", true},
    {GRADE_DIR, "/home/me", false},
    {GRADE_DIR, "C:\\Users", false},
    {GRADE_DIR, "hunter2", true},
    {GRADE_RANDOM, "oauth2", false},
    {GRADE_RANDOM, "ldap and kerberos 5", false},
    {GRADE_RANDOM, "9f86d081884c7d65", true},
    {GRADE_RANDOM, "f(int a) -> int", false},
    {GRADE_LINE, "Bearer x", true},
};

START_TEST(values)
{
    ck_assert_msg(secret_value(valued[_i].grade, str_of(valued[_i].value)) == valued[_i].secret,
                  "'%s' of grade %d", valued[_i].value, (int)valued[_i].grade);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("secret_key");
    TCase *t = tcase_create("keys");
    tcase_add_loop_test(t, grades, 0, sizeof graded / sizeof *graded);
    tcase_add_test(t, configured);
    tcase_add_test(t, long_keys);
    tcase_add_loop_test(t, values, 0, sizeof valued / sizeof *valued);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
