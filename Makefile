#H Two commands do everything on a fresh Debian machine: make demo, make check.
#H
#H   make             build/mcptallyd, build/mcptally, build/libmcptally.so and .a
#H   make demo        see it work: start, replay a recorded conversation, scrape
#H   make check       every test, within 30 minutes; check-long: the long ones too
#H   make lint        the rules of the tree; format: apply .clang-format
#H   make unit        the unit tests alone
#H   make bench       speed and memory, each beside its reference, with a picture, in build/bench;
#H                    bench-smoke: its short form; BENCH_SUITES='updates rings', BENCH_JSON=FILE
#H   make bench-baseline   keep this machine's figures; bench-compare: the newest beside them
#H   make bench-gate  instructions of the hot paths beside the stored; bench-counts: store
#H   make interop     against the real MCP servers and clients from npm
#H   make soak        an hour of trouble, SOAK_MINUTES=60; the report is in build/soak
#H   make fuzz        libFuzzer on every decoder, FUZZ_SECONDS=60 each
#H   make install     DESTDIR, prefix, bindir, sbindir, libdir, sysconfdir ...; uninstall undoes it
#H   make dist        build/mcptally-VERSION.tar.xz, of the tree as it is
#H   make deb         the Debian packages, into build/deb; with lintian
#H   make rpm-check   that packaging/rpm parses and lists the same files
#H   make check-systemd   the package under a real systemd in a container, 500 kills
#H                    and all; as root
#H   make deps        install the Debian packages that are missing
#H   make clean       remove build/; distclean: and the generated configure
#H
#H   make CC=clang check                 another compiler, in a folder of its own
#H   make SAN=address,undefined check    with sanitizers, likewise
#H   make V=1                            shows each command

.DEFAULT_GOAL := all

# Seconds that a test of Check may take. Its own 4 are too few for a machine that
# is busy with other things, and for sanitizers.
export CK_DEFAULT_TIMEOUT ?= 60

# What building and testing need from Debian; the one list.
DEBS := apache2-utils autoconf binutils check clang clang-format curl g++ gcc libc6-dev \
	libcrypt-dev libevent-dev libjansson-dev libmicrohttpd-dev libnghttp2-dev libprotobuf-c-dev \
	libssl-dev libtre-dev libxxhash-dev libyaml-dev make mandoc nghttp2-client openssl pkg-config \
	procps prometheus protobuf-c-compiler python3 python3-grpcio python3-prometheus-client \
	python3-protobuf python3-pytest python3-yaml systemd-container util-linux valgrind \
	xz-utils zlib1g-dev

# What `make deb` and `make check-systemd` need besides.
PACKAGE_DEBS := debhelper dpkg-dev fakeroot lintian

# ---- what configure found ---------------------------------------------------
# Goals that work before anything is installed do not need it.
BARE := deps clean distclean format help check check-long check-systemd demo interop bench bench-smoke bench-baseline soak
ifneq ($(filter-out $(BARE),$(or $(MAKECMDGOALS),all)),)
-include build/config.mk
endif

build/config.mk: configure packaging/config.mk.in
	@mkdir -p build
	cd build && env -u CC -u CFLAGS -u LDFLAGS ../configure --quiet $(CONFIGURE_FLAGS)

configure: configure.ac
	autoconf

# ---- flags: each compiler and set of sanitizers builds in its own folder ----
SAN ?=
comma := ,
SO_MAJOR = $(firstword $(subst ., ,$(VERSION)))
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(findstring clang,$(CC)),/clang)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CFLAGS ?= -O2 -g
HARDEN := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# gcc warns that its thread sanitizer does not see fences; ours order atomics only, which it does.
WARN += $(if $(and $(findstring thread,$(SAN)),$(if $(findstring clang,$(CC)),,gcc)),-Wno-tsan)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Isrc -Isrc/client -I$(B)/gen $(WARN) $(HARDEN) $(SANFLAGS) \
	-ffunction-sections -fdata-sections -fPIC -fvisibility=hidden \
	-DMCPTALLY_BUILD_VERSION='"$(VERSION)"' $(LIB_CFLAGS) $(CFLAGS)
# The address sanitizer has a crypt_r() of its own, which needs libcrypt all the same.
ALL_LDFLAGS = $(SANFLAGS) -Wl,--gc-sections $(if $(SAN),,-Wl,--as-needed) -Wl,-z,relro,-z,now \
	$(LDFLAGS)

# One short line for each file made; V=1 shows the commands.
say = $(if $(V),,@printf '  %s  %s\n' $(1) $@; )

# ---- sources: a folder is a room; a new file needs no line here -------------
ROOMS := base model wire otlp store mcp spool pipeline watch format forward intake serve gate helper export \
	probe daemon client
MAINS := src/daemon/main.c
CORE := $(filter-out $(MAINS),$(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c)))
CLI := $(wildcard src/cli/*.c)
LIBRARY := $(wildcard src/client/*.c src/wire/*.c src/base/*.c src/model/*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

# The daemon that is installed. It knows where its configuration is, so another sysconfdir than
# configure was told needs another one: only then it is not the one of the tests.
DAEMON := $(if $(filter-out $(configured_sysconfdir),$(sysconfdir)),$(B)/at$(sysconfdir)/mcptallyd,$(B)/mcptallyd)

.PHONY: all
all: $(B)/mcptallyd $(DAEMON) $(B)/mcptally $(B)/libmcptally.so $(B)/libmcptally.a

# C from the .proto files, without our warnings: it is not ours to change.
GEN := $(patsubst src/%.proto,$(B)/gen/%.pb-c.c,$(wildcard src/*/*.proto))
GEN_OBJ := $(GEN:.c=.o)
$(B)/gen/%.pb-c.c: src/%.proto build/config.mk
	@mkdir -p $(B)/gen
	$(call say,PROTO)$(PROTOC_C) -Isrc --c_out=$(B)/gen $<
$(B)/gen/%.o: $(B)/gen/%.c | $(GEN)
	$(call say,CC)$(CC) -std=c11 -I$(B)/gen -w $(HARDEN) $(SANFLAGS) -ffunction-sections -fdata-sections \
		-fPIC -fvisibility=hidden $(PROTOBUF_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define COMPILE
@mkdir -p $(@D)
$(call say,CC)$(CC) $(ALL_CFLAGS) $(DEFINES) -MMD -MP -c -o $@ $<
endef

$(B)/obj/%.o: %.c build/config.mk | $(GEN)
	$(COMPILE)

$(B)/libcore.a: $(call obj,$(CORE)) $(GEN_OBJ)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(B)/mcptallyd: $(call obj,$(MAINS)) $(B)/libcore.a
	$(call say,LD)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

$(B)/obj/src/daemon/places.o: DEFINES := -DMCPTALLY_SYSCONFDIR='"$(configured_sysconfdir)"'
$(B)/at%/places.o: DEFINES = -DMCPTALLY_SYSCONFDIR='"$*"'
$(B)/at%/places.o: src/daemon/places.c build/config.mk
	$(COMPILE)
$(B)/at%/mcptallyd: $(call obj,$(MAINS)) $(B)/at%/places.o $(B)/libcore.a
	$(call say,LD)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

# Sanitizers keep what --gc-sections drops, and with it what only the daemon needs.
$(B)/mcptally: $(call obj,$(CLI)) $(B)/libcore.a
	$(call say,LD)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(if $(SAN),$(DAEMON_LIBS),$(CLI_LIBS)) \
		-lpthread -lm

$(B)/libmcptally.so: $(call obj,$(LIBRARY))
	$(call say,LD)$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libmcptally.so.$(SO_MAJOR),-z,nodelete -o $@ $^ -lpthread -lm
	@ln -sf libmcptally.so $(@D)/libmcptally.so.$(SO_MAJOR)

# One object whose internal names are local, so that they cannot clash with the host's.
$(B)/libmcptally.a: $(call obj,$(LIBRARY))
	$(call say,LD)ld -r -o $(B)/libmcptally.o $^
	@objcopy --localize-hidden $(B)/libmcptally.o
	@rm -f $@
	@ar rcs $@ $(B)/libmcptally.o

# ---- test programs ----------------------------------------------------------
CHECK_LIBS = $(shell pkg-config --libs check)
UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
HELPERS := $(patsubst %.c,$(B)/%,$(wildcard tests/system/*.c))
BENCH := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
SYSTEMD_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/systemd/*.c))

$(B)/libcli.a: $(call obj,$(filter-out src/cli/main.c,$(CLI)))
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(B)/libcli.a $(B)/libcore.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CHECK_LIBS) $(DAEMON_LIBS) -lpthread -lm

# Programs of the system tests use the library as a stranger would: the header and the .so.
$(B)/tests/system/%: $(B)/obj/tests/system/%.o $(B)/libmcptally.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $< -L$(B) -lmcptally -Wl,-rpath,'$$ORIGIN/../..' -lpthread

# But this one drives what leaves the daemon.
$(B)/tests/system/sender: $(B)/obj/tests/system/sender.o $(B)/libcore.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

# What is loaded into a program to make its calls fail.
$(B)/tests/fault/libfault.so: tests/fault/fault.c build/config.mk
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_CFLAGS) -U_FORTIFY_SOURCE -fno-builtin -shared -o $@ $< -ldl

# What the system tests run besides is not made by `make`, but it is kept as new as its source,
# so that nobody tests with what there was before.
all: $(wildcard $(HELPERS) $(B)/tests/fault/libfault.so)

# These speak the wire themselves.
$(B)/tests/systemd/%: $(B)/obj/tests/systemd/%.o $(B)/libcore.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

# But not the reference of a restart, which does nothing, also before main().
$(B)/tests/systemd/quiet: $(B)/obj/tests/systemd/quiet.o
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(if $(SAN),,-static) $(ALL_LDFLAGS) -o $@ $<

# So do programs of the bench; emit.c uses the library as it is installed.
$(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(B)/libcore.a $(B)/libmcptally.so
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $< -L$(B) -lmcptally -Wl,-rpath,'$$ORIGIN/../..' \
		$(B)/libcore.a $(DAEMON_LIBS) -lpthread -lm

# A fuzz target with a main() that replays files; with FUZZER set, with libFuzzer's.
REPLAY = $(if $(findstring fuzzer,$(SAN)),,$(call obj,tests/fuzz/replay_main.c))
$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/libcli.a $(B)/libcore.a $(REPLAY)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_LDFLAGS)) -o $@ $(filter-out %.a,$^) \
		$(B)/libcli.a $(B)/libcore.a $(DAEMON_LIBS) -lpthread -lm

# The simulation is floors 0 to 3 alone, compiled with MCPTALLY_SIM into objects of its own.
SIM_ROOMS := base model wire otlp store mcp spool pipeline watch format forward
SIM_SOURCES := $(wildcard tests/sim/*.c $(SIM_ROOMS:%=src/%/*.c))
$(B)/sim/%.o: DEFINES := -DMCPTALLY_SIM
$(B)/sim/%.o: %.c build/config.mk | $(GEN)
	$(COMPILE)
SIM_WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(B)/sim/sim: $(SIM_SOURCES:%.c=$(B)/sim/%.o) $(GEN_OBJ)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) $(SIM_WRAP) -o $@ $^ $(DAEMON_LIBS) -lm

.PHONY: unit-programs fuzz-programs sim-programs systemd-programs test-programs unit
unit-programs: $(UNIT)
fuzz-programs: $(FUZZ)
sim-programs: $(if $(wildcard tests/sim/*.c),$(B)/sim/sim)
# Objects stay, also those that only one program needs.
.SECONDARY:
test-programs: unit-programs fuzz-programs sim-programs systemd-programs $(HELPERS) $(BENCH) \
	$(B)/tests/fault/libfault.so
systemd-programs: $(SYSTEMD_PROGRAMS) $(B)/tests/system/killer $(B)/tests/fault/libfault.so
unit: $(UNIT)
	@set -e; for t in $^; do echo "unit: $$t"; $$t; done

# ---- what is run --------------------------------------------------------------
.PHONY: deps check check-long demo interop fuzz fuzz-run lint format
deps:
	@packaging/deps $(DEBS)

# Only a compiler that was asked for: these goals run before configure has found one.
RUN = env -u MAKEFLAGS -u MAKELEVEL SAN='$(SAN)' CC='$(if $(findstring command,$(origin CC)),$(CC))'
check check-long: deps
	@$(RUN) tests/run $@

# Booting a systemd in a container; as root. `make check` does a shorter form of it.
check-systemd: deps
	@$(RUN) tests/run check-long build systemd
.PHONY: check-systemd

demo: deps
	@$(MAKE) --no-print-directory all
	@$(RUN) tests/demo/demo

# Against the real peers, which npm, PyPI and Go fetch into build/interop; status 77: they cannot.
interop: deps
	@$(MAKE) --no-print-directory all
	@$(RUN) tests/interop/run
	@$(RUN) tests/interop/otlp/run

BENCH_JSON ?= build/bench/report.json
BASELINE = build/bench/baseline-$(shell uname -n).json
bench: deps
	@$(MAKE) --no-print-directory all bench-programs
	@MCPTALLY_BUILD=$(B) tests/bench/run --json $(BENCH_JSON) --svg $(BENCH_JSON:.json=.svg) $(BENCH_SUITES)
# The short form, under a minute: that all of it works, not how fast.
bench-smoke: deps
	@$(MAKE) --no-print-directory all bench-programs
	@MCPTALLY_BUILD=$(B) tests/bench/run --smoke --json build/bench/smoke.json --svg build/bench/smoke.svg
# What this machine measured is what `make bench-compare` compares the newest report with.
bench-baseline:
	@$(MAKE) --no-print-directory bench BENCH_JSON=$(BASELINE)
bench-compare:
	@$(B)/mcptally compare --relative $(BASELINE) $(BENCH_JSON)
# What the hot paths execute, beside what is stored; the stored counts anew.
bench-gate bench-counts: $(B)/tests/bench/work
	@MCPTALLY_BUILD=$(B) tests/bench/counts $(if $(findstring counts,$@),--write)
.PHONY: bench bench-smoke bench-baseline bench-compare bench-programs bench-gate bench-counts
bench-programs: $(BENCH)

# Memory, descriptors and latency over an hour in which everything comes and goes.
SOAK_MINUTES ?= 60
.PHONY: soak
soak: deps
	@$(MAKE) --no-print-directory all $(B)/tests/fault/libfault.so
	@MCPTALLY_BUILD=$(B) tests/soak/soak $(SOAK_MINUTES)

lint: deps
	@tests/lint/lint

format:
	clang-format -i $$(find src tests -name '*.[ch]')

# libFuzzer on every decoder, FUZZ_SECONDS each; `make check` replays the corpus only.
FUZZ_SECONDS ?= 60
fuzz: deps
	@packaging/deps libclang-rt-dev
	$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-run
fuzz-run: $(FUZZ)
	@set -e; for t in $(notdir $^); do \
		mkdir -p $(B)/found/$$t; \
		$(B)/tests/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=1024 \
			-artifact_prefix=$(B)/found/$$t- $(B)/found/$$t tests/fuzz/corpus/$${t#fuzz_}; \
	done

# ---- installing -----------------------------------------------------------------
# One table, mode:source:target; uninstall reads it too.
SHARE = $(datadir)/mcptally
SERVICES := $(notdir $(wildcard systemd/*.service))
PAGES := $(notdir $(wildcard man/*.[1-8]))
# What names directories is in the tree with those of a package of Debian.
FILLED = $(SERVICES:%=systemd/%) systemd/mcptallyd-generator $(PAGES:%=man/%)
FILL = sed -e 's|/usr/sbin/mcptally|$(sbindir)/mcptally|g' \
	-e 's|/usr/bin/mcptally|$(bindir)/mcptally|g' \
	-e 's|/usr/share/mcptally|$(SHARE)|g' -e 's|/etc/mcptally|$(sysconfdir)/mcptally|g' \
	-e 's|/etc/logrotate.d/|$(sysconfdir)/logrotate.d/|g'
systemddir = $(prefix)/lib/systemd
INSTALLED = \
	755:$(DAEMON):$(sbindir)/mcptallyd \
	755:$(B)/mcptally:$(bindir)/mcptally \
	755:$(B)/libmcptally.so:$(libdir)/libmcptally.so.$(VERSION) \
	644:$(B)/libmcptally.a:$(libdir)/libmcptally.a \
	644:$(B)/mcptally.pc:$(libdir)/pkgconfig/mcptally.pc \
	644:src/client/mcptally.h:$(includedir)/mcptally.h \
	644:conf/completion/mcptally.bash:$(datadir)/bash-completion/completions/mcptally \
	644:conf/mcptallyd.yaml:$(SHARE)/mcptallyd.yaml \
	644:conf/web.yaml:$(SHARE)/web.yaml \
	$(foreach f,$(wildcard conf/rules/*.yaml),644:$f:$(SHARE)/rules/$(notdir $f)) \
	$(foreach f,$(SERVICES),644:$(B)/filled/systemd/$f:$(systemddir)/system/$f) \
	$(foreach f,$(notdir $(wildcard systemd/*.socket systemd/*.timer)),644:systemd/$f:$(systemddir)/system/$f) \
	755:$(B)/filled/systemd/mcptallyd-generator:$(systemddir)/system-generators/mcptallyd-generator \
	644:conf/logrotate:$(sysconfdir)/logrotate.d/mcptallyd \
	644:systemd/sysusers.conf:$(prefix)/lib/sysusers.d/mcptally.conf \
	644:systemd/tmpfiles.conf:$(prefix)/lib/tmpfiles.d/mcptally.conf \
	$(foreach f,$(PAGES),644:$(B)/filled/man/$f:$(mandir)/man$(subst .,,$(suffix $f))/$f)
# In it every key is a comment. One that is there may be somebody's, and stays.
CONFIGURATION = $(DESTDIR)$(sysconfdir)/mcptally/mcptallyd.yaml

.PHONY: install uninstall dist deb rpm-check
install: all
	@sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@version@|$(VERSION)|' \
		-e 's|@includedir@|$(includedir)|' packaging/mcptally.pc.in >$(B)/mcptally.pc
	@mkdir -p $(B)/filled/systemd $(B)/filled/man
	@set -e; for f in $(FILLED); do $(FILL) $$f >$(B)/filled/$$f; done
	@set -e; for i in $(INSTALLED); do \
		(IFS=:; set -- $$i; echo "install: $(DESTDIR)$$3"; \
		install -D -m $$1 "$$2" "$(DESTDIR)$$3"); \
	done
	ln -sf libmcptally.so.$(VERSION) $(DESTDIR)$(libdir)/libmcptally.so.$(SO_MAJOR)
	ln -sf libmcptally.so.$(SO_MAJOR) $(DESTDIR)$(libdir)/libmcptally.so
	[ -e $(CONFIGURATION) ] || install -D -m 644 conf/mcptallyd.yaml $(CONFIGURATION)

uninstall:
	! cmp -s conf/mcptallyd.yaml $(CONFIGURATION) || rm -f $(CONFIGURATION)
	rm -f $(foreach i,$(INSTALLED),$(DESTDIR)$(lastword $(subst :, ,$i))) \
		$(DESTDIR)$(libdir)/libmcptally.so.$(SO_MAJOR) $(DESTDIR)$(libdir)/libmcptally.so

DIST = mcptally-$(VERSION)
TOP := Makefile configure.ac src conf systemd tests man packaging README COPYING
dist:
	@mkdir -p build
	@if [ -e .git ]; then tree=$$(git stash create 2>/dev/null); \
		git archive --prefix=$(DIST)/ $${tree:-HEAD}; \
	else tar -c --transform 's|^|$(DIST)/|' $(wildcard $(TOP)); fi | xz -9 >build/$(DIST).tar.xz
	@echo build/$(DIST).tar.xz

# The packages of packaging/debian, from the tree as it is; with a source package, so that
# what is built is what is in the tarball.
deb: deps
	@packaging/deps $(PACKAGE_DEBS)
	@$(MAKE) --no-print-directory dist
	@packaging/deb build/$(DIST).tar.xz $(VERSION)

# The same list of files as the packages, read by rpm's own parser.
rpm-check: deps
	@packaging/deps rpm
	@$(MAKE) --no-print-directory build/config.mk
	@packaging/rpm/check $(VERSION)

.PHONY: clean distclean help
clean:
	rm -rf build
distclean: clean
	rm -rf configure autom4te.cache

help:
	@sed -n 's/^#H //p' Makefile

-include $(shell find $(B) -path '*/deb' -prune -o -name '*.d' -type f -print 2>/dev/null)
