# mcptally. Two commands do everything on a fresh machine: make demo, make check.
#
#   make                build build/mcptallyd, build/mcptally, build/libmcptally.{so,a}
#   make check          install what is missing, build, run all tests
#   make SAN=address,undefined check
#   make CC=clang check

.DEFAULT_GOAL := all
SAN ?=
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter clang%,$(CC)),/clang)
comma := ,

# ---- what configure found -------------------------------------------------
# Goals that work before anything is installed do not need it.
BARE := deps clean distclean format help
ifneq ($(filter-out $(BARE),$(or $(MAKECMDGOALS),all)),)
-include build/config.mk
endif

build/config.mk: configure conf/config.mk.in
	@mkdir -p build
	cd build && ../configure --quiet $(CONFIGURE_FLAGS)

configure: configure.ac
	autoconf

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
CFLAGS ?= -O2 -g
HARDEN := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Isrc -Isrc/client $(WARN) $(HARDEN) $(SANFLAGS) \
	-ffunction-sections -fdata-sections -fPIC -fvisibility=hidden \
	-DMCPTALLY_BUILD_VERSION='"$(VERSION)"' $(LIB_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(SANFLAGS) -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now $(LDFLAGS)

# ---- sources: a folder is a room; a new file needs no line here -----------
ROOMS := base model wire store pipeline watch format intake serve export daemon client
MAINS := src/daemon/main.c
CORE := $(filter-out $(MAINS),$(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c)))
CLI := $(wildcard src/cli/*.c)
LIBRARY := $(wildcard src/client/*.c src/wire/*.c src/base/*.c src/model/*.c)
UNIT := $(wildcard tests/unit/test_*.c)
SIM := $(wildcard tests/sim/*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all
all: $(B)/mcptallyd $(B)/mcptally $(B)/libmcptally.so $(B)/libmcptally.a

$(B)/obj/%.o: %.c build/config.mk
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libcore.a: $(call obj,$(CORE))
	@rm -f $@
	ar rcs $@ $^

$(B)/mcptallyd: $(call obj,src/daemon/main.c) $(B)/libcore.a
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

$(B)/mcptally: $(call obj,$(CLI)) $(B)/libcore.a
	$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(CLI_LIBS) -lpthread -lm

$(B)/libmcptally.so: $(call obj,$(LIBRARY))
	$(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,libmcptally.so.0 -o $@ $^ -lpthread -lm

# One object whose internal names are local, so that they cannot clash with the host's.
$(B)/libmcptally.a: $(call obj,$(LIBRARY))
	ld -r -o $(B)/libmcptally.o $^
	objcopy --localize-hidden $(B)/libmcptally.o
	@rm -f $@
	ar rcs $@ $(B)/libmcptally.o

# ---- tests ------------------------------------------------------------------
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT))

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libcore.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(DAEMON_LIBS) -lpthread -lm

.PHONY: unit
unit: $(UNIT_BINS)
	@set -e; for t in $^; do echo "unit: $$t"; $$t; done

.PHONY: clean distclean
clean:
	rm -rf build
distclean: clean
	rm -rf configure autom4te.cache

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
