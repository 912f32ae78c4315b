# make help lists what there is to make.  Variables:
#
#   NGINX_SRC=DIR  nginx's source tree to build with
#   TESTS="..."    the test files to run, all of t/*.t by default
#   RUNS="..."     the builds to run them with: dynamic static asan
#   JOBS=N         how many of them at a time
#   KEEP=1         make demo: leaves the demonstration running
#   FUZZ_SECONDS=N make fuzz: how long each target runs, 20 by default
#   DESTDIR, PREFIX, MODULES_DIR, NGINX=BINARY   for make install

SHELL = /bin/bash
export PATH := $(PATH):/usr/sbin:/sbin
export LC_ALL = C.UTF-8

MODULE = build/ngx_http_idpay_module.so
SOURCE = $(if $(NGINX_SRC),$(NGINX_SRC),build/nginx-src)
NGINX = $(if $(NGINX_SRC),build/nginx,nginx)
PREFIX = /usr/local
MODULES_DIR = $(shell $(NGINX) -V 2>&1 \
                      | grep -o -E -e '--modules-path=[^ ]+' | cut -d= -f2)

JOBS = 3
RUNS = dynamic static asan
TESTS = $(sort $(wildcard t/*.t))
UNITS = $(sort $(basename $(notdir $(wildcard t/unit/*.c))))

# each test once for each build; the unit tests know no build

RUN_dynamic = $(TESTS)
RUN_static = $(addprefix static:,$(TESTS))
RUN_asan = $(addprefix asan:,$(TESTS))
ALL_TESTS = $(if $(UNITS),$(addprefix build/unit/,$(UNITS))) \
            $(foreach run,$(RUNS),$(RUN_$(run)))

ifneq ($(NGINX_SRC),)
export TEST_NGINX_BINARY ?= $(CURDIR)/build/nginx
endif


.PHONY: module static asan unit nginx-src deps test fuzz demo bench style \
        install clean help

module:     ## the dynamic module (the default); with NGINX_SRC nginx too
	@t/tools/build $(if $(NGINX_SRC),source "$(NGINX_SRC)",module)

static:     ## build/static/nginx: nginx with the module linked in
static: $(if $(NGINX_SRC),,nginx-src)
	@t/tools/build static "$(SOURCE)"

asan:       ## build/asan/nginx: the same with sanitizers
asan: $(if $(NGINX_SRC),,nginx-src)
	@t/tools/build asan "$(SOURCE)"

unit:       ## build/unit/*: the unit tests
unit: asan
	@t/tools/unit $(UNITS)

nginx-src:  ## build/nginx-src: Debian's source of nginx
	@t/tools/nginx-src build/nginx-src

deps:       ## installs the packages needed, with sudo when not root
	@t/tools/deps

test:       ## builds and tests everything
test: deps
	@$(MAKE) --no-print-directory module static asan unit
	@t/tools/test $(JOBS) $(ALL_TESTS)

fuzz:       ## fuzzes the pure functions, FUZZ_SECONDS each; needs clang
fuzz: deps
	@$(MAKE) --no-print-directory asan
	@t/tools/fuzz

demo:       ## one call to each provider, simulated; KEEP=1 leaves it running
demo: deps
	@$(MAKE) --no-print-directory module
	@perl -I t/lib t/demo/demo.pl

bench:      ## the gateway beside plain proxy_pass, limits, tokens, calls that wait
bench: deps
	@$(MAKE) --no-print-directory module
	@perl t/bench/run.pl && perl t/bench/limits.pl && perl t/bench/parked.pl \
	    && perl t/bench/tokens.pl

style:      ## checks the style of the sources
	@t/tools/style

install:    ## installs the module and conf.example
install: module
	@test -n "$(MODULES_DIR)" \
	    || { echo "set MODULES_DIR: $(NGINX) names none" >&2; exit 1; }
	install -d "$(DESTDIR)$(MODULES_DIR)" "$(DESTDIR)$(PREFIX)/share/doc/idpay"
	install -m 644 $(MODULE) "$(DESTDIR)$(MODULES_DIR)"
	install -m 644 conf.example "$(DESTDIR)$(PREFIX)/share/doc/idpay"

clean:      ## removes build
	rm -rf build

help:       ## this list
	@sed -n -E 's/^([a-z-]+): +## /\1\t/p' Makefile | expand -t 12
