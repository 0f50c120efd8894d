/* main: the command line of mcptallyd(8). */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/bound.h"
#include "daemon/config_doc.h"
#include "daemon/daemon.h"
#include "daemon/pause.h"
#include "daemon/places.h"
#include "pipeline/redact.h"

static const char usage[] =
    "usage: mcptallyd [--config FILE] [--runtime-dir DIR] [--state-dir DIR]\n"
    "                 [-o KEY=VALUE]... [--check]\n"
    "       mcptallyd --print sample | keys\n"
    "       mcptallyd --version | --help\n"
    "\n"
    "  -c, --config FILE      read FILE instead of %s\n"
    "  -r, --runtime-dir DIR  directory of the sockets and the store\n"
    "  -s, --state-dir DIR    directory of what outlives a boot\n"
    "  -o KEY=VALUE           set a key, over the file\n"
    "  -n, --check            check the configuration, print the memory bound, exit\n"
    "      --print WHAT       print a sample configuration, or the keys in mdoc(7)\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n";

enum { OPTION_PRINT = 256 };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"runtime-dir", required_argument, NULL, 'r'},
    {"state-dir", required_argument, NULL, 's'},
    {"check", no_argument, NULL, 'n'},
    {"print", required_argument, NULL, OPTION_PRINT},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

struct invocation {
    struct load load;
    bool check;
    const char *print;
};

static int wrong_usage(void)
{
    fprintf(stderr, usage, places_config);
    return DAEMON_USAGE;
}

static int print(const char *what)
{
    if (strcmp(what, "sample") == 0)
        config_doc_sample(stdout);
    else if (strcmp(what, "keys") == 0)
        config_doc_keys(stdout);
    else
        return wrong_usage();
    return fflush(stdout) == 0 ? DAEMON_OK : DAEMON_FAILED;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct invocation *c)
{
    int option;
    while ((option = getopt_long(argc, argv, "c:r:s:o:nVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            c->load.file = optarg;
            break;
        case 'r':
            c->load.runtime_dir = optarg;
            break;
        case 's':
            c->load.state_dir = optarg;
            break;
        case 'o':
            c->load.overrides[c->load.noverrides++] = optarg;
            break;
        case 'n':
            c->check = true;
            break;
        case OPTION_PRINT:
            return print(optarg);
        case 'V':
            puts("mcptallyd " MCPTALLY_BUILD_VERSION);
            return DAEMON_OK;
        case 'h':
            printf(usage, places_config);
            return DAEMON_OK;
        default:
            return wrong_usage();
        }
    }
    return optind == argc ? -1 : wrong_usage();
}

static void check_warn(const struct config *config, const struct load *load)
{
    struct buf lines;
    buf_init(&lines, 4096);
    web_warn(config, load->used, &lines);
    for (const char *p = lines.p, *end = lines.p + lines.n; p < end; p += strcspn(p, "\n") + 1)
        fprintf(stderr, "warning: %.*s\n", (int)strcspn(p, "\n"), p);
    buf_fini(&lines);
}

/* stderr may be kept by somebody, and a value that is none may be a secret in the wrong place. */
static void print_faults(struct str text)
{
    const struct redact_options o = {.enabled = true};
    struct redact *redact = redact_new(&o);
    struct buf clean;
    buf_init(&clean, 2 * text.n + 4096);
    if (!redact)
        text = STR("out of memory\n");
    else if (redact_text(redact, text, &clean) > 0)
        text = buf_str(&clean);
    fwrite(text.p, 1, text.n, stderr);
    buf_fini(&clean);
    redact_free(redact);
}

/* Says what is wrong, and the exit status for that. */
static int refuse(struct faults *f)
{
    print_faults(str_of(faults_text(f)));
    return f->system ? DAEMON_FAILED : DAEMON_CONFIG;
}

static int run(struct invocation *c)
{
    struct config config;
    struct faults faults;
    int status;
    faults_init(&faults);
    if (!load_config(&c->load, &config, &faults)) {
        status = refuse(&faults);
        faults_fini(&faults);
        return status;
    }
    if (!web_check(&config, c->load.used, &faults)) {
        status = refuse(&faults);
    } else if (c->check) {
        check_warn(&config, &c->load);
        bound_print(stdout, &config);
        status = DAEMON_OK;
    } else {
        status = daemon_run(&c->load, &config);
    }
    faults_fini(&faults);
    config_fini(&config);
    return status;
}

/* A descriptor below 3 that is closed would be the store's, or a socket's, and log lines
 * would go there. */
static bool open_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int main(int argc, char **argv)
{
    struct invocation c = {0};
    pause_crashes();
    if (!open_standard_files()) {
        perror("mcptallyd: error: /dev/null"); /* for who has given us a stderr */
        return pause_failed(DAEMON_FAILED);
    }
    c.load.overrides = calloc((size_t)argc, sizeof *c.load.overrides);
    if (!c.load.overrides) {
        fputs("mcptallyd: out of memory\n", stderr);
        return pause_failed(DAEMON_FAILED);
    }
    int status = parse(argc, argv, &c);
    if (status < 0)
        status = c.check ? run(&c) : pause_failed(run(&c));
    free(c.load.overrides);
    return status;
}
