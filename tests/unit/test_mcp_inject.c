#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mcp/inject.h"

#define T "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
    const char *line, *result;
} given[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}",
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"_meta\":{"
     "\"traceparent\":\"" T "\"},\"name\":\"a\"}}"},
    {"{\"id\":\"x\",\"method\":\"ping\",\"params\":{ }}",
     "{\"id\":\"x\",\"method\":\"ping\",\"params\":{\"_meta\":{\"traceparent\":\"" T "\"} }}"},
    {"{\"id\":1,\"method\":\"ping\"}",
     "{\"params\":{\"_meta\":{\"traceparent\":\"" T "\"}},\"id\":1,\"method\":\"ping\"}"},
    {" { \"params\" : {\"a\":[{\"_meta\":{}}],\"_meta\" : {\"progressToken\":3}},"
     "\"method\":\"m\",\"id\":0}\r",
     " { \"params\" : {\"a\":[{\"_meta\":{}}],\"_meta\" : {\"traceparent\":\"" T
     "\",\"progressToken\":3}},\"method\":\"m\",\"id\":0}\r"},
    {"{\"params\":{\"_meta\":{}},\"method\":\"m\",\"id\":0}",
     "{\"params\":{\"_meta\":{\"traceparent\":\"" T "\"}},\"method\":\"m\",\"id\":0}"},
    /* a traceparent elsewhere is none */
    {"{\"params\":{\"traceparent\":\"x\",\"b\":{\"traceparent\":1}},\"method\":\"m\",\"id\":0}",
     "{\"params\":{\"_meta\":{\"traceparent\":\"" T
     "\"},\"traceparent\":\"x\",\"b\":{\"traceparent\":1}},\"method\":\"m\",\"id\":0}"},
    /* keys may be escaped */
    {"{\"\\u0070arams\":{\"a\":1},\"method\":\"m\",\"id\":0}",
     "{\"\\u0070arams\":{\"_meta\":{\"traceparent\":\"" T
     "\"},\"a\":1},\"method\":\"m\",\"id\":0}"},
};

static const char *const left_alone[] = {
    "",
    "{}",
    "null",
    "[]",
    "what is no JSON",
    "{\"id\":1,\"method\":\"m\",\"params\":{}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}",
    "{\"id\":null,\"method\":\"m\",\"params\":{}}",
    "{\"id\":1,\"result\":{}}",
    "{\"id\":1,\"method\":7,\"params\":{}}",
    "{\"id\":1,\"method\":\"m\",\"params\":[1]}",
    "{\"id\":1,\"method\":\"m\",\"params\":null}",
    "{\"id\":1,\"method\":\"m\",\"params\":{},\"params\":{}}",
    "{\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":3}}",
    "{\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{},\"_meta\":{}}}",
    "{\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"traceparent\":\"" T "\"}}}",
    "{\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"traceparent\":null}}}",
    "[{\"id\":1,\"method\":\"m\",\"params\":{}}]",
    "{\"a\":{\"id\":1,\"method\":\"m\",\"params\":{}}}",
};

START_TEST(gives_a_request_a_context)
{
    struct inject_place place;
    char piece[INJECT_MAX], result[1024] = "";
    const char *line = given[_i].line;
    ck_assert(inject_find(line, strlen(line), &place));
    const size_t n = inject_piece(piece, &place, T);
    ck_assert_uint_le(n, INJECT_MAX);
    memcpy(result, line, place.at);
    memcpy(result + place.at, piece, n);
    memcpy(result + place.at + n, line + place.at, strlen(line) - place.at);
    ck_assert_str_eq(result, given[_i].result);
    ck_assert(!inject_find(result, strlen(result), &place)); /* once is enough */
}
END_TEST

START_TEST(leaves_the_rest_alone)
{
    struct inject_place place;
    ck_assert(!inject_find(left_alone[_i], strlen(left_alone[_i]), &place));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_inject");
    TCase *tests = tcase_create("inject");
    tcase_add_loop_test(tests, gives_a_request_a_context, 0, sizeof given / sizeof *given);
    tcase_add_loop_test(tests, leaves_the_rest_alone, 0, sizeof left_alone / sizeof *left_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
