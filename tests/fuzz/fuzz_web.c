/* Bytes to the parser of web configuration files. What is taken is told to the gate and
 * read back the same; the bytes themselves, too, as what the gate is told. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/config_web.h"
#include "gate/gate_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(struct str told)
{
    struct web_tls t;
    char *watched = NULL;
    struct buf again;
    buf_init(&again, GATE_BYTES);
    if (gate_read_tls(told, &t, &watched)) {
        gate_write_tls(&again, &t, watched);
        assert(again.failed || again.n <= told.n);
    }
    free(watched);
    web_tls_fini(&t);
    buf_fini(&again);
}

static void use(const struct web_config *w)
{
    struct buf told;
    assert(w->nusers <= WEB_USERS && w->ntokens <= WEB_USERS && w->tls.nsans <= WEB_SANS);
    buf_init(&told, GATE_BYTES);
    gate_write_tls(&told, &w->tls, "fuzz");
    if (!told.failed)
        read_back(buf_str(&told));
    buf_fini(&told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_config *w = calloc(1, sizeof *w);
    struct faults f;
    faults_init(&f);
    if (w && web_config_init(w)) {
        const bool good = config_web_parse(w, "dir/fuzz", data, size, &f);
        assert(good == (f.count == 0));
        if (good)
            use(w);
    }
    web_config_fini(w);
    free(w);
    faults_fini(&f);
    read_back((struct str){(const char *)data, size});
    return 0;
}
