#include "daemon/config_doc.h"

#include <string.h>

#include "daemon/config.h"
#include "daemon/value.h"

enum { DOC_WIDTH = 86 };

static size_t section_length(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot ? (size_t)(dot - key) : 0;
}

static bool is_list(const struct config_row *row)
{
    return row->type == CONFIG_LIST || row->type == CONFIG_MAPPING || row->type == CONFIG_RULES ||
           row->type == CONFIG_SAMPLES || row->type == CONFIG_PATTERNS ||
           row->type == CONFIG_DESTINATIONS || row->type == CONFIG_CHECKS ||
           row->type == CONFIG_ACTIONS;
}

/* Text in lines of at most DOC_WIDTH characters, each with a prefix. mdoc wants
 * every sentence to begin a line. */
static void print_wrapped(FILE *to, const char *prefix, const char *text, bool by_sentence)
{
    while (*text) {
        const char *stop = by_sentence ? strstr(text, ". ") : NULL;
        size_t n = stop ? (size_t)(stop - text) + 1 : strlen(text);
        if (n > DOC_WIDTH) {
            for (n = DOC_WIDTH; n > 0 && text[n] != ' '; n--)
                ;
        }
        fprintf(to, "%s%.*s\n", prefix, (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

static void print_default(FILE *to, const struct config_row *row)
{
    fputs(is_list(row) ? "[]" : *row->dflt ? row->dflt : "\"\"", to);
}

/* ---- the sample ---- */

static void sample_row(FILE *to, const struct config_row *row, size_t section)
{
    const char *indent = section ? "  # " : "# ";
    print_wrapped(to, indent, row->help, false);
    fprintf(to, "%s#%s: ", section ? "  " : "", row->key + (section ? section + 1 : 0));
    print_default(to, row);
    fputc('\n', to);
}

void config_doc_sample(FILE *to)
{
    const char *section = "";
    size_t length = 0;
    fputs("# Configuration of mcptallyd(8). Every key is shown at its default; mcptallyd.yaml(5)\n"
          "# says more. `mcptallyd --check` validates a file, SIGHUP has it read again.\n",
          to);
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct config_row *row = config_row((enum config_key)i);
        const size_t n = section_length(row->key);
        fputc('\n', to);
        if (n && (n != length || strncmp(section, row->key, n) != 0))
            fprintf(to, "%.*s:\n", (int)n, row->key);
        section = row->key;
        length = n;
        sample_row(to, row, n);
    }
}

/* ---- the manual ---- */

/* Backslashes and leading dots mean something to mdoc; no help has either. */
static void keys_range(FILE *to, const struct config_row *row)
{
    struct buf b;
    if (row->most == 0)
        return;
    buf_init(&b, 256);
    buf_adds(&b, "Range: ");
    if (row->type == CONFIG_MODE) {
        buf_addf(&b, "up to 0%o", (unsigned)row->most);
    } else {
        void (*print)(struct buf *, uint64_t) = row->type == CONFIG_SIZE ? value_print_size
                                                : row->type == CONFIG_DURATION
                                                    ? value_print_duration
                                                    : buf_addu;
        const char *unit = row->type == CONFIG_RATIO ? "%" : "";
        print(&b, row->least);
        buf_addf(&b, "%s to ", unit);
        print(&b, row->most);
        buf_adds(&b, unit);
    }
    fprintf(to, "%.*s.\n", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void keys_row(FILE *to, const struct config_row *row)
{
    fprintf(to, ".It Ic %s\n", row->key);
    print_wrapped(to, "", row->help, true);
    fprintf(to, "Value: %s.\n", config_expected(row->type));
    fputs("Default: ", to);
    print_default(to, row);
    fputs(".\n", to);
    keys_range(to, row);
    if (row->when == CONFIG_RESTART)
        fputs("A change needs a restart.\n", to);
}

void config_doc_keys(FILE *to)
{
    fputs(".Sh KEYS\n"
          "A change takes effect at\n"
          ".Dv SIGHUP\n"
          "unless the key says that it needs a restart.\n"
          ".Bl -tag -width Ds\n",
          to);
    for (int i = 0; i < CONFIG_KEYS; i++)
        keys_row(to, config_row((enum config_key)i));
    fputs(".El\n", to);
}
