#include "daemon/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    const char *file;
    struct faults *faults;
    unsigned nodes;
};

static struct place place_of(const struct reader *r, yaml_mark_t mark)
{
    return (struct place){r->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static bool syntax_fault(struct reader *r)
{
    const char *problem = r->parser.problem ? r->parser.problem : "cannot be read";
    struct place at = place_of(r, r->parser.problem_mark);
    if (r->parser.error == YAML_MEMORY_ERROR)
        fault_memory(r->faults, (struct place){.file = r->file}, NULL);
    else if (r->parser.error == YAML_READER_ERROR)
        fault_add(r->faults, (struct place){.file = r->file}, NULL,
                  "not UTF-8 text: %s at byte %zu", problem, r->parser.problem_offset);
    else
        fault_add(r->faults, at, NULL, "not YAML: %s", problem);
    return false;
}

static bool next_event(struct reader *r, yaml_event_t *e)
{
    return yaml_parser_parse(&r->parser, e) ? true : syntax_fault(r);
}

static const char *forbidden(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return "an alias is not supported; write the value out";
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor ? "an anchor is not supported"
               : e->data.scalar.tag  ? "a tag is not supported"
                                     : NULL;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor ? "an anchor is not supported"
               : e->data.sequence_start.tag  ? "a tag is not supported"
                                             : NULL;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor ? "an anchor is not supported"
               : e->data.mapping_start.tag  ? "a tag is not supported"
                                            : NULL;
    default:
        return NULL;
    }
}

static struct tree_node *node_new(struct reader *r, enum tree_kind kind, yaml_mark_t mark)
{
    if (++r->nodes > TREE_NODES) {
        fault_add(r->faults, place_of(r, mark), NULL, "more than %d values", TREE_NODES);
        return NULL;
    }
    struct tree_node *n = calloc(1, sizeof *n);
    if (!n) {
        fault_memory(r->faults, (struct place){.file = r->file}, NULL);
        return NULL;
    }
    n->kind = kind;
    n->at = n->key_at = place_of(r, mark);
    return n;
}

/* A C string of a scalar; NUL bytes would cut it short unseen. */
static char *scalar_text(struct reader *r, const yaml_event_t *e)
{
    const char *p = (const char *)e->data.scalar.value;
    if (strlen(p) != e->data.scalar.length) {
        fault_add(r->faults, place_of(r, e->start_mark), NULL, "text may not hold a NUL byte");
        return NULL;
    }
    char *text = strdup(p);
    if (!text)
        fault_memory(r->faults, (struct place){.file = r->file}, NULL);
    return text;
}

static struct tree_node *read_value(struct reader *r, const yaml_event_t *e, unsigned depth);

static struct tree_node *read_scalar(struct reader *r, const yaml_event_t *e)
{
    struct tree_node *n = node_new(r, TREE_SCALAR, e->start_mark);
    if (!n)
        return NULL;
    n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->text = scalar_text(r, e);
    if (!n->text) {
        tree_free(n);
        return NULL;
    }
    return n;
}

static bool key_is_new(struct reader *r, const struct tree_node *map, const char *key,
                       struct place at)
{
    for (const struct tree_node *n = map->down; n; n = n->next) {
        if (strcmp(n->key, key) == 0) {
            fault_add(r->faults, at, key, "the key is there twice, first in line %u",
                      n->key_at.line);
            return false;
        }
    }
    return true;
}

/* Reads the next event of a value and the value itself. */
static struct tree_node *read_next(struct reader *r, unsigned depth)
{
    yaml_event_t e;
    if (!next_event(r, &e))
        return NULL;
    struct tree_node *n = read_value(r, &e, depth);
    yaml_event_delete(&e);
    return n;
}

/* One `key: value` of a map, whose first event is e. */
static struct tree_node *read_pair(struct reader *r, const struct tree_node *map,
                                   const yaml_event_t *e, unsigned depth)
{
    struct place at = place_of(r, e->start_mark);
    const char *why = forbidden(e);
    if (why || e->type != YAML_SCALAR_EVENT) {
        fault_add(r->faults, at, NULL, "%s", why ? why : "a key has to be a plain word");
        return NULL;
    }
    char *key = scalar_text(r, e);
    struct tree_node *n = NULL;
    if (key && key_is_new(r, map, key, at))
        n = read_next(r, depth);
    if (!n) {
        free(key);
        return NULL;
    }
    n->key = key;
    n->key_at = at;
    return n;
}

static bool ends(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

static struct tree_node *read_collection(struct reader *r, const yaml_event_t *start,
                                         enum tree_kind kind, unsigned depth)
{
    struct tree_node *all = node_new(r, kind, start->start_mark);
    if (!all)
        return NULL;
    for (struct tree_node **tail = &all->down;; tail = &(*tail)->next) {
        yaml_event_t e;
        if (!next_event(r, &e))
            break;
        if (ends(&e)) {
            yaml_event_delete(&e);
            return all;
        }
        *tail = kind == TREE_MAP ? read_pair(r, all, &e, depth) : read_value(r, &e, depth);
        yaml_event_delete(&e);
        if (!*tail)
            break;
    }
    tree_free(all);
    return NULL;
}

static struct tree_node *read_value(struct reader *r, const yaml_event_t *e, unsigned depth)
{
    const char *why = forbidden(e);
    if (!why && depth >= TREE_DEPTH)
        why = "nested too deeply";
    if (why) {
        fault_add(r->faults, place_of(r, e->start_mark), NULL, "%s", why);
        return NULL;
    }
    if (e->type == YAML_SCALAR_EVENT)
        return read_scalar(r, e);
    return read_collection(r, e, e->type == YAML_MAPPING_START_EVENT ? TREE_MAP : TREE_LIST,
                           depth + 1);
}

/* Skips the events that only open the stream and a document. True at a value,
 * false at the end of the stream or a fault (then r->faults says so). */
static bool to_document(struct reader *r, yaml_event_t *e)
{
    for (;;) {
        if (!next_event(r, e))
            return false;
        if (e->type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(e);
            return false;
        }
        if (e->type != YAML_STREAM_START_EVENT && e->type != YAML_DOCUMENT_START_EVENT &&
            e->type != YAML_DOCUMENT_END_EVENT)
            return true;
        yaml_event_delete(e);
    }
}

static struct tree_node *read_document(struct reader *r)
{
    yaml_event_t e;
    unsigned before = r->faults->count;
    if (!to_document(r, &e))
        return r->faults->count == before ? node_new(r, TREE_MAP, (yaml_mark_t){0}) : NULL;
    struct tree_node *root = read_value(r, &e, 0);
    yaml_event_delete(&e);
    if (root && to_document(r, &e)) {
        fault_add(r->faults, place_of(r, e.start_mark), NULL, "a second document is not supported");
        yaml_event_delete(&e);
    }
    if (r->faults->count == before)
        return root;
    tree_free(root);
    return NULL;
}

static bool is_blank(const char *text, size_t n)
{
    while (n > 0 && memchr(" \t\r\n", text[n - 1], 4))
        n--;
    return n == 0;
}

struct tree_node *tree_parse(const char *file, const void *text, size_t n, struct faults *f)
{
    struct reader r = {.file = file, .faults = f};
    if (n > TREE_BYTES) {
        fault_add(f, (struct place){.file = file}, NULL, "larger than 1 MiB");
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        fault_memory(f, (struct place){.file = file}, NULL);
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text, n);
    struct tree_node *root = read_document(&r);
    if (root)
        root->blank = is_blank(text, n);
    yaml_parser_delete(&r.parser);
    return root;
}

/* All of a descriptor, at most one byte more than is allowed. */
static ssize_t read_all(int fd, char *to, size_t max)
{
    size_t n = 0;
    while (n < max) {
        ssize_t got = read(fd, to + n, max - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

struct tree_node *tree_read(const char *file, struct faults *f)
{
    struct tree_node *root = NULL;
    /* Not to wait at a named pipe. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = fd >= 0 ? malloc(TREE_BYTES + 1) : NULL;
    ssize_t n = text ? read_all(fd, text, TREE_BYTES + 1) : -1;
    if (n < 0)
        fault_unread(f, file, errno);
    else
        root = tree_parse(file, text, (size_t)n, f);
    free(text);
    if (fd >= 0)
        close(fd);
    return root;
}

void tree_free(struct tree_node *n)
{
    while (n) {
        struct tree_node *next = n->next;
        tree_free(n->down);
        free(n->key);
        free(n->text);
        free(n);
        n = next;
    }
}

bool tree_null(const struct tree_node *n)
{
    return n->kind == TREE_SCALAR && !n->quoted &&
           (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

const char *tree_kind_name(const struct tree_node *n)
{
    return n->kind == TREE_MAP ? "a map" : n->kind == TREE_LIST ? "a list" : "a value";
}
