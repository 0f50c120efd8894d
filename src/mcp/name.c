#include "mcp/name.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"

/* What the operand of a launcher is. */
enum operand { OWN_NAME, PACKAGE, SCRIPT, MODULE, IMAGE, COMMAND };

struct launcher {
    const char *name;
    enum operand operand;
    const char *words;  /* subcommands in front of the operand: " run exec " */
    const char *values; /* options that take the next word as their value */
};

static const struct launcher launchers[] = {
    {"npx", PACKAGE, " ", " -p --package -c --call --prefix -w --workspace "},
    {"bunx", PACKAGE, " ", " -p --package "},
    {"pnpx", PACKAGE, " ", " "},
    {"npm", PACKAGE, " exec x ", " -p --package --prefix -w --workspace "},
    {"pnpm", PACKAGE, " dlx exec ", " --package -C --dir "},
    {"yarn", PACKAGE, " dlx exec ", " -p --package "},
    {"uvx", PACKAGE, " ", " --from --with --python -p --index-url --directory "},
    {"pipx", PACKAGE, " run ", " --spec --python --pip-args "},
    {"uv", COMMAND, " run tool ", " --from --with --python -p --directory --project --env-file "},
    {"env", COMMAND, " ", " -u --unset -C --chdir "},
    {"sudo", COMMAND, " ", " -u -g -C "},
    {"nice", COMMAND, " ", " -n "},
    {"node", SCRIPT, " ", " -r --require --import --loader --experimental-loader --env-file "},
    {"nodejs", SCRIPT, " ", " -r --require --import --loader "},
    {"bun", SCRIPT, " run ", " -r --preload --cwd "},
    {"deno", SCRIPT, " run ", " --config -c --import-map --env-file "},
    {"tsx", SCRIPT, " ", " --tsconfig --import -r "},
    {"ruby", SCRIPT, " ", " -I -r "},
    {"php", SCRIPT, " ", " -c -d "},
    {"java", SCRIPT, " ", " -cp -classpath --class-path -p --module-path "},
    {"bash", SCRIPT, " ", " -o -O "},
    {"sh", SCRIPT, " ", " -o "},
    {"docker", IMAGE, " run container ",
     " -e --env --env-file -v --volume --mount -p --publish --name --network --net -w --workdir -u "
     "--user --entrypoint -l --label -m --memory --cpus --add-host --platform -h --hostname "},
    {"podman", IMAGE, " run container ",
     " -e --env --env-file -v --volume --mount -p --publish --name --network --net -w --workdir -u "
     "--user --entrypoint -l --label -m --memory --cpus --add-host --platform -h --hostname "},
};

static const struct launcher python = {"python", SCRIPT, " ", " -X -W --check-hash-based-pycs "};

/* Names that say nothing about what they name. */
static const char generic[] = " index main __main__ server cli app start run mcp stdio mcp_server "
                              "dist build out src lib bin target release debug js cjs esm . .. ";
static const char extensions[] = " js mjs cjs ts mts cts tsx py rb php jar sh exe ";

static bool listed(const char *list, struct str word)
{
    for (const char *p = list; word.n && (p = strchr(p, word.p[0])); p++)
        if (p > list && p[-1] == ' ' && strncmp(p, word.p, word.n) == 0 && p[word.n] == ' ')
            return true;
    return false;
}

static struct str base_name(struct str path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/')
            return (struct str){path.p + i, path.n - i};
    return path;
}

/* The part in front of the last `c` behind the first character. */
static struct str before(struct str s, char c)
{
    for (size_t i = s.n; i > 1; i--)
        if (s.p[i - 1] == c)
            return (struct str){s.p, i - 1};
    return s;
}

static const struct launcher *find_launcher(struct str name)
{
    if (name.n >= 6 && strncmp(name.p, "python", 6) == 0)
        return &python;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (str_eq(str_of(launchers[i].name), name))
            return &launchers[i];
    return NULL;
}

static struct str without_extension(struct str name)
{
    struct str stem = before(name, '.');
    struct str extension = {stem.p + stem.n + 1, name.n - stem.n - 1};
    return stem.n < name.n && listed(extensions, extension) ? stem : name;
}

/* The last part of a path that says something. */
static struct str script_name(struct str path, struct str cwd)
{
    struct str rest = path;
    struct str name = without_extension(base_name(path));
    while (listed(generic, name)) {
        struct str folder = before(rest, '/');
        if (folder.n == rest.n)
            return base_name(cwd);
        rest = folder;
        name = base_name(rest);
    }
    return name;
}

static struct str module_name(struct str module)
{
    struct str parent = before(module, '.');
    struct str last = {parent.p + parent.n + 1, module.n - parent.n - 1};
    return parent.n < module.n && listed(generic, last) ? parent : module;
}

/* name@version, name==version, name[extra] */
static struct str package_name(struct str name)
{
    for (size_t i = 1; i < name.n; i++)
        if (strchr("@=<>~![", name.p[i]))
            return (struct str){name.p, i};
    return name;
}

static struct str operand_name(enum operand kind, struct str word, struct str cwd)
{
    switch (kind) {
    case PACKAGE:
        return package_name(base_name(word));
    case IMAGE: /* host:port/name:tag@digest */
        return before(before(base_name(before(word, '@')), ':'), '@');
    case MODULE:
        return module_name(word);
    default:
        return script_name(word, cwd);
    }
}

/* The word that a launcher runs, and what it is; NULL for none. */
static char *const *find_operand(const struct launcher *l, char *const *word, enum operand *kind)
{
    bool options = true;
    *kind = l->operand;
    for (; *word; word++) {
        struct str w = str_of(*word);
        if (options && w.n > 1 && w.p[0] == '-') {
            options = strcmp(*word, "--") != 0;
            if (strcmp(*word, "-m") == 0 && l == &python) {
                *kind = MODULE;
                return word[1] ? word + 1 : NULL;
            }
            if (listed(l->values, w) && word[1])
                word++;
        } else if (!listed(l->words, w) && !(l->operand == COMMAND && strchr(*word, '='))) {
            return word;
        }
    }
    return NULL;
}

static struct str choose(char *const *command, struct str cwd)
{
    struct str name = {"server", 6};
    for (unsigned depth = 0; command && *command && depth < 8; depth++) {
        const struct launcher *l = find_launcher(base_name(str_of(*command)));
        if (!l)
            return script_name(str_of(*command), cwd);
        name = base_name(str_of(*command));
        enum operand kind;
        char *const *operand = find_operand(l, command + 1, &kind);
        if (operand && kind != COMMAND)
            return operand_name(kind, str_of(*operand), cwd);
        command = operand;
    }
    return name;
}

static bool may_stay(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

void mcp_service_name(char *to, size_t size, char *const *command, const char *cwd)
{
    struct str name = choose(command, str_of(cwd ? cwd : ""));
    assert(size >= 8);
    while (name.n && !may_stay(name.p[0]))
        name = (struct str){name.p + 1, name.n - 1};
    if (name.n == 0)
        name = STR("server");
    size_t n = 0;
    for (size_t i = 0; i < name.n && n + 1 < size; i++)
        to[n++] = may_stay(name.p[i]) ? name.p[i] : '-';
    to[n] = 0;
}
