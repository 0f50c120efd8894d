"""libmcptally as a stranger uses it: its header, its shared library, a real daemon."""

import os
import pathlib
import subprocess

import pytest

from conftest import BUILD, DEADLINE, ROOT, until

SANITIZE = [f"-fsanitize={os.environ['SAN']}"] if os.environ.get("SAN") else []

EVERYTHING = r"""
#include <mcptally.h>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static void work(mcptally *m, bool fails)
{
    MCPTALLY_TRACK(m, "library.work");
    if (fails)
        throw std::runtime_error("left by an exception");
}

int main(int, char **argv)
{
    mcptally_options o = {};
    o.size = sizeof o;
    o.socket = argv[1];
    o.service = "library";
    mcptally *m = mcptally_open(&o);
    const mcptally_label tool[] = {{"tool", "echo"}, {nullptr, nullptr}};
    mcptally_series *calls = mcptally_with(mcptally_counter(m, "library.calls", nullptr, "Calls."),
                                           tool);
    mcptally_series *cost = mcptally_with(mcptally_counterf(m, "library.cost", "USD", nullptr),
                                          nullptr);
    mcptally_series *depth = mcptally_with(mcptally_gauge(m, "library.depth", nullptr, "sum",
                                                          nullptr), nullptr);
    const double bounds[] = {1, 2, 4};
    mcptally_series *size = mcptally_with(mcptally_histogram(m, "library.size", "By", bounds, 3,
                                                             nullptr), nullptr);
    mcptally_series *wait = mcptally_with(mcptally_summary(m, "library.wait", "s", nullptr),
                                          nullptr);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([=] {
            for (int i = 0; i < 1000; i++) {
                mcptally_add(calls, 1);
                mcptally_addf(cost, 0.25);
                mcptally_observe(size, i % 5);
            }
        });
    for (auto &t : threads)
        t.join();
    mcptally_set(depth, 7);
    mcptally_observe(wait, 0.5);
    const mcptally_measure took[] = {{"duration_ms", 12.5}, {nullptr, 0}};
    mcptally_correlation(m, "req-1");
    mcptally_event(m, "library.done", took, tool);
    mcptally_log(m, MCPTALLY_WARN, "nearly done", tool);
    mcptally_health(m, "library", MCPTALLY_HEALTHY, nullptr);
    work(m, false);
    try {
        work(m, true);
    } catch (const std::runtime_error &) {
    }
    const int flushed = mcptally_flush(m, 20000);
    mcptally_stats s = {};
    s.size = sizeof s;
    mcptally_get_stats(m, &s);
    mcptally_close(m, 1000);
    return flushed == 0 && s.acknowledged == s.emitted && s.rejected == 0 ? 0 : 1;
}
"""

FORKS = r"""
#include <mcptally.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    mcptally_options o = {.size = sizeof o, .socket = argv[1], .service = "forks"};
    if (argc > 2) /* what the child became: it has nothing of the session */
        return fcntl_count() == 3 ? 0 : 9;
    mcptally *m = mcptally_open(&o);
    mcptally_series *n = mcptally_with(mcptally_counter(m, "forks", NULL, NULL), NULL);
    for (int i = 0; i < 5; i++) {
        mcptally_add(n, 1);
        const pid_t child = fork();
        if (child == 0) {
            mcptally_add(n, 10);
            if (mcptally_flush(m, 20000) != 0)
                _exit(2);
            execl(argv[0], argv[0], argv[1], "again", (char *)NULL);
            _exit(3);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 4;
    }
    const int flushed = mcptally_flush(m, 20000);
    mcptally_close(m, 1000);
    return flushed;
}
"""

UNLOADED = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <mcptally.h>

static pthread_barrier_t at;
static void (*add)(mcptally_series *, uint64_t);

static void *emit(void *series)
{
    add(series, 1);
    pthread_barrier_wait(&at);
    pthread_barrier_wait(&at);
    return 0; /* its end is the library's business */
}

int main(int argc, char **argv)
{
    (void)argc;
    void *l = dlopen(argv[2], RTLD_NOW);
    mcptally *(*open)(const mcptally_options *) = dlsym(l, "mcptally_open");
    mcptally_metric *(*counter)(mcptally *, const char *, const char *, const char *) =
        dlsym(l, "mcptally_counter");
    mcptally_series *(*with)(mcptally_metric *, const mcptally_label *) = dlsym(l, "mcptally_with");
    void (*close)(mcptally *, int) = dlsym(l, "mcptally_close");
    add = dlsym(l, "mcptally_add");
    const mcptally_options o = {.size = sizeof o, .socket = argv[1], .service = "unloaded"};
    mcptally *m = open(&o);
    pthread_t t;
    pthread_barrier_init(&at, 0, 2);
    pthread_create(&t, 0, emit, with(counter(m, "unloaded", 0, 0), 0));
    pthread_barrier_wait(&at);
    close(m, 20000);
    dlclose(l);
    pthread_barrier_wait(&at);
    pthread_join(t, 0);
    return 0;
}
"""


@pytest.fixture
def build(tmp_path):
    """Compiles a program against the header and the shared library."""
    def compiled(source, compiler="gcc", language="c", flags=()):
        path = tmp_path / f"program.{language}"
        path.write_text(source)
        line = [compiler, "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Werror", *SANITIZE, *flags,
                f"-I{ROOT}/src/client", str(path), "-o", str(tmp_path / "program"), f"-L{BUILD}",
                "-lmcptally", f"-Wl,-rpath,{BUILD}", "-lpthread"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return tmp_path / "program"
    return compiled


def run(program, *arguments, **env):
    """It must succeed, and the library must not have printed a byte."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, check=False,
                          timeout=DEADLINE, env={**os.environ, **env})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def value(daemon, name, **labels):
    """The sum of the samples of that name with at least these labels."""
    wanted = set(labels.items())
    return sum(v for (n, l), v in daemon.metrics().items() if n == name and wanted <= set(l))


def test_everything_from_cpp(daemon, build):
    run(build(EVERYTHING, "g++", "cc", ["-std=c++11"]), daemon.socket)
    assert value(daemon, "library_calls_total", tool="echo", service_name="library") == 4000
    assert value(daemon, "library_cost_USD_total") == 1000
    assert value(daemon, "library_size_bytes_count") == 4000
    assert value(daemon, "library_size_bytes_sum") == 8000
    assert value(daemon, "library_size_bytes_bucket", le="1.0") == 1600
    assert value(daemon, "library_wait_seconds_count") == 1
    assert value(daemon, "library_work_duration_seconds_count") == 2
    accounting = daemon.check_accounting()
    assert sum(accounting["dropped"].values()) == 0
    assert daemon.status()["sessions"] is not None


def test_forked_children_count_for_themselves(daemon, build):
    count = ("#include <dirent.h>\nstatic int fcntl_count(void)\n{\n    int n = -3; /* . .. and"
             " its own */\n    DIR *d = opendir(\"/proc/self/fd\");\n    while (readdir(d))\n"
             "        n++;\n    closedir(d);\n    return n;\n}\n")
    run(build(count + FORKS), daemon.socket)
    assert value(daemon, "forks_total") == 55
    daemon.check_accounting()


def test_unloaded_while_a_thread_lives(daemon, build):
    run(build(UNLOADED, flags=["-Wno-pedantic"]), daemon.socket, BUILD / "libmcptally.so")
    assert value(daemon, "unloaded_total") == 1
    daemon.check_accounting()


def test_nothing_is_printed_without_a_daemon(build, tmp_path):
    program = build(EVERYTHING.replace("20000", "1").replace("flushed == 0 && s.acknowledged == "
                                                            "s.emitted", "flushed == -1"),
                    "g++", "cc")
    run(program, tmp_path / "none")


def test_the_daemon_is_killed_meanwhile(new_daemon, build):
    """Its socket and store are there before, between and after."""
    daemon = new_daemon().start()
    program = build(EVERYTHING.replace("i < 1000", "i < 200000")
                              .replace("mcptally_addf(cost", "if (i % 1000 == 0) "
                                       "std::this_thread::sleep_for(std::chrono::milliseconds(5));"
                                       "\n                mcptally_addf(cost")
                              .replace("#include <thread>", "#include <chrono>\n#include <thread>")
                              .replace("o.service =", "o.buffer_bytes = 1 << 24;\n"
                                       "    o.queue_bytes = 1 << 28;\n    o.service ="),
                    "g++", "cc")
    process = subprocess.Popen([str(program), daemon.socket], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        for _ in range(3):  # more in ten seconds, and the daemon's own brake makes it wait
            before = daemon.check_accounting()["applied"]
            until(lambda: daemon.check_accounting()["applied"] > before
                  or process.poll() is not None, "items to be applied")
            assert process.poll() is None, "it was over before the daemon could be killed"
            daemon.kill()
            daemon.start()
        out, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, b"", b"")
    assert value(daemon, "library_calls_total") == 800000
    assert value(daemon, "library_cost_USD_total") == 200000
    assert value(daemon, "library_size_bytes_count") == 800000
    daemon.check_accounting()


SHORT_OF_DESCRIPTORS = r"""
#include <mcptally.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    mcptally_options o = {
        .size = sizeof o,
        .socket = argc > 1 ? argv[1] : NULL,
        .flags = MCPTALLY_RING | MCPTALLY_NO_THREAD,
    };
    mcptally *m = mcptally_open(&o);
    mcptally_series *s = mcptally_with(mcptally_counter(m, "short.calls", NULL, NULL), NULL);
    for (int i = 0; i < 1000; i++)
        mcptally_add(s, 1);
    mcptally_poll(m); /* connects */
    struct rlimit few;
    getrlimit(RLIMIT_NOFILE, &few);
    few.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(0) >= 0)
        continue;
    for (int i = 0; i < 3000; i++) {
        if (i % 100 == 0)
            mcptally_add(s, 1);
        mcptally_poll(m);
        usleep(1000);
    }
    mcptally_flush(m, 20000);
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(m, &stats);
    mcptally_close(m, 5000);
    return stats.acknowledged == 1030 && stats.emitted == 1030 ? 0 : 2;
}
"""


def test_a_process_that_is_out_of_descriptors_counts_no_record_twice(build, daemon):
    """It cannot map what the daemon says of its ring, which the daemon reads by then."""
    run(build(SHORT_OF_DESCRIPTORS), daemon.socket)
    assert value(daemon, "short_calls_total") == 1030
    daemon.check_accounting()


COMES_HOME = r"""
#include <mcptally.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char go;
    mcptally_options o = {
        .size = sizeof o,
        .socket = argc > 1 ? argv[1] : NULL,
        .flags = MCPTALLY_RING,
    };
    mcptally *m = mcptally_open(&o);
    mcptally_series *s = mcptally_with(mcptally_counter(m, "home.calls", NULL, NULL), NULL);
    for (int i = 0; i < 2; i++) { /* the daemon is to read the ring by then */
        mcptally_add(s, 1);
        if (mcptally_flush(m, 20000) != 0)
            return 2;
    }
    if (write(1, "1", 1) != 1 || read(0, &go, 1) != 1)
        return 3;
    mcptally_add(s, 40);
    if (write(1, "2", 1) != 1 || mcptally_flush(m, 60000) != 0)
        return 4;
    mcptally_stats stats = {.size = sizeof stats};
    mcptally_get_stats(m, &stats);
    mcptally_close(m, 5000);
    return stats.acknowledged == 3 && stats.emitted == 3 ? 0 : 5;
}
"""


def test_a_ring_comes_home_while_somebody_waits_for_it(new_daemon, build, tmp_path):
    """The daemon that it was offered to is gone with its store, and the next one wants none."""
    daemon = new_daemon().start()
    with subprocess.Popen([str(build(COMES_HOME)), daemon.socket], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"1"
        daemon.kill()
        daemon.store.unlink()
        process.stdin.write(b"g")
        process.stdin.flush()
        assert process.stdout.read(1) == b"2"
        stat = pathlib.Path(f"/proc/{process.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S", "it to wait")
        daemon.config = tmp_path / "none.yaml"
        daemon.config.write_text("limits: {rings: 0}\n")
        daemon.start()
        assert process.wait(DEADLINE) == 0
    assert value(daemon, "home_calls_total") == 40
    daemon.check_accounting()
