/* replay_main: a main() for a fuzz target that needs no fuzzer. It hands every
 * file named, and every file in every folder named, to the target: what the
 * fuzzer found once is tried again at each make check, with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4 << 20 }; /* bytes; a larger file is a mistake */

static unsigned replayed;

static _Noreturn void fail(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

/* The block is exactly as large as the input, so that a sanitizer sees a read past its end. */
static void replay_file(const char *path, size_t size)
{
    if (size > INPUT_MAX)
        fail(path, "too large for an input");
    FILE *f = fopen(path, "rb");
    uint8_t *input = malloc(size ? size : 1);
    if (!f || !input || fread(input, 1, size, f) != size)
        fail(path, "cannot be read");
    fclose(f);
    LLVMFuzzerTestOneInput(input, size);
    free(input);
    replayed++;
}

static void replay(const char *path);

static void replay_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        fail(path, "cannot be listed");
    for (int i = 0; i < n; i++) {
        char under[4096];
        snprintf(under, sizeof under, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            replay(under);
        free(names[i]);
    }
    free(names);
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        fail(path, "no such file");
    if (S_ISDIR(st.st_mode))
        replay_folder(path);
    else
        replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u inputs replayed\n", replayed);
    return replayed ? 0 : 1; /* a corpus that is empty tests nothing */
}
