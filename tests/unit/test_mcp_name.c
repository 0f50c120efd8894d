#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mcp/name.h"

static const struct {
    const char *command, *cwd, *name;
} cases[] = {
    {"npx -y @modelcontextprotocol/server-everything", "/x", "server-everything"},
    {"npx -y @modelcontextprotocol/server-everything@2026.8.31 stdio", "/x", "server-everything"},
    {"npx --yes -p some-package server-x --port 3", "/x", "server-x"},
    {"/usr/bin/npx -- mcp-remote", "/x", "mcp-remote"},
    {"npm exec -- server-memory", "/x", "server-memory"},
    {"pnpm dlx server-memory@latest", "/x", "server-memory"},
    {"uvx mcp-server-git --repository /r", "/x", "mcp-server-git"},
    {"uvx --from git+https://host/a/b mcp-server-time", "/x", "mcp-server-time"},
    {"uvx mcp-server-fetch==1.2", "/x", "mcp-server-fetch"},
    {"uv --directory /srv/weather run weather.py", "/x", "weather"},
    {"uv run --with mcp mcp run", "/home/me/wetter", "wetter"},
    {"pipx run mcp-server-sqlite", "/x", "mcp-server-sqlite"},
    {"node dist/index.js", "/home/me/weather-server", "weather-server"},
    {"node /srv/weather/dist/index.js", "/x", "weather"},
    {"node --import tsx -r dotenv ./build/server.mjs", "/home/me/notes/", "notes"},
    {"node node_modules/@a/server-memory/dist/index.js", "/x", "server-memory"},
    {"node lib/echo.js", "/x", "echo"},
    {"deno run --allow-net jsr.ts", "/x", "jsr"},
    {"python -m mcp_server_git", "/x", "mcp_server_git"},
    {"python3.11 -u -X dev -m foo.server --x", "/x", "foo"},
    {"python3 -m foo.bar", "/x", "foo.bar"},
    {"python3 /opt/tools/main.py", "/x", "tools"},
    {"python3", "/x", "python3"},
    {"java -Xmx1g -jar /opt/git-server.jar", "/x", "git-server"},
    {"docker run -i --rm -e TOKEN -v /a:/b mcp/time:latest", "/x", "time"},
    {"docker run -i registry:5000/team/srv@sha256:0123", "/x", "srv"},
    {"env A=1 B=2 npx -y server-x", "/x", "server-x"},
    {"/usr/local/bin/github-mcp-server stdio", "/x", "github-mcp-server"},
    {"./server", "/home/me/tally", "tally"},
    {"bin/run.sh", "/home/me/tally", "tally"},
    {"we\xC3\xA4ird:name", "/x", "we--ird-name"},
    {"./.hidden", "/x", ".hidden"},
    {"", "/x", "server"},
    {"/", "/", "server"},
    {"index.js", "", "server"},
};

START_TEST(names_what_is_run)
{
    char text[256], name[128], *words[32];
    size_t n = 0;
    strncpy(text, cases[_i].command, sizeof text - 1);
    for (char *p = text; *p && n < 31; p++) {
        words[n++] = p;
        p = strchrnul(p, ' ');
        if (!*p)
            break;
        *p = 0;
    }
    words[n] = NULL;
    mcp_service_name(name, sizeof name, words, cases[_i].cwd);
    ck_assert_msg(strcmp(name, cases[_i].name) == 0, "%s: %s", cases[_i].command, name);
}
END_TEST

START_TEST(fits_in_what_it_is_given)
{
    char name[8], word[] = "a-very-long-name";
    char *words[] = {word, NULL};
    mcp_service_name(name, sizeof name, words, NULL);
    ck_assert_str_eq(name, "a-very-");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mcp_name");
    TCase *tests = tcase_create("name");
    tcase_add_loop_test(tests, names_what_is_run, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, fits_in_what_it_is_given);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
