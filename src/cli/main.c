/* main: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"

static const struct command {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
#define X(name, help) {#name, help, cmd_##name},
    COMMAND_TABLE(X)
#undef X
};

enum { NCOMMANDS = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    static const char *const names[] = {
#define X(name, help) #name,
        COMMAND_TABLE(X)
#undef X
    };
    const char *near = nearest(name, names, NCOMMANDS);
    if (near)
        cli_error("no command '%s'; did you mean '%s'?", name, near);
    else
        cli_error("no command '%s'; try 'mcptally --help'", name);
    return CLI_USAGE;
}

static int print_help(FILE *to, int status)
{
    fprintf(to, "usage: mcptally COMMAND [ARGUMENT]...\n"
                "       mcptally COMMAND --help\n"
                "       mcptally --version\n\n");
    for (size_t i = 0; i < NCOMMANDS; i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\nexit codes:\n");
#define X(sym, number, help) fprintf(to, "  %-10d %s\n", number, help);
    EXIT_TABLE(X)
#undef X
    return status;
}

/* "mcptally help COMMAND" is "mcptally COMMAND --help". */
static int explain(const char *name)
{
    const struct command *c = find(name);
    char command[32], option[] = "--help";
    if (!c)
        return unknown(name);
    snprintf(command, sizeof command, "%s", c->name);
    char *argv[] = {command, option, NULL};
    return c->run(2, argv);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return print_help(stderr, CLI_USAGE);
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return print_help(stdout, CLI_OK);
    if (strcmp(word, "help") == 0)
        return argc > 2 ? explain(argv[2]) : print_help(stdout, CLI_OK);
    if (strcmp(word, "--version") == 0) {
        printf("mcptally %s\n", MCPTALLY_BUILD_VERSION);
        return CLI_OK;
    }
    const struct command *c = find(word);
    return c ? c->run(argc - 1, argv + 1) : unknown(word);
}

int main(int argc, char **argv)
{
    return cli_finish(dispatch(argc, argv));
}
