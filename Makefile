# Builds, installs, demonstrates and tests libksyscall. `make help` lists the targets.

PREFIX ?= /usr/local
# Debian's subfolder of lib for this architecture's libraries; empty on other systems. clang prints Debian's name on
# every system.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
ifneq (,$(findstring clang,$(shell $(CC) --version 2>/dev/null)))
MULTIARCH := $(notdir $(wildcard /usr/lib/$(MULTIARCH)))
endif
LIBDIR ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
BINDIR ?= $(PREFIX)/bin
COMPLETIONS ?= $(PREFIX)/share

CARGO ?= cargo
OBJCOPY ?= objcopy
CLANG ?= clang
# Whether `make install` installs the command `ksyscall`, whose BPF programs require clang and
# libbpf's headers. The default is `yes` if clang is installed and TARGET is empty. The published
# crate does not contain the command.
CLI ?= $(if $(TARGET),no,$(if $(and $(wildcard cli),$(shell command -v $(CLANG) 2>/dev/null)),yes,no))
# Debian's pytest package works only with the system's Python.
PYTHON ?= /usr/bin/python3
TESTS := $(PYTHON) -m pytest testing
# The folder to build in, and the Rust target to build for (default: this machine).
BUILD ?= build
TARGET ?= $(CARGO_BUILD_TARGET)
# Quotes a word for the shell.
quoted = '$(subst ','\'',$(1))'

# Stop at the first match: the published crate's Cargo.toml also contains the versions of dependencies.
VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
MAJOR := $(firstword $(subst ., ,$(VERSION)))
SONAME := libksyscall.so.$(MAJOR)
LIBRARY := $(BUILD)/libksyscall.so.$(VERSION)

# These options override the folder and the target in cargo's configuration files.
CARGO_FOLDER := $(or $(CARGO_TARGET_DIR),target)
CARGO_OPTIONS = --locked --target-dir $(call quoted,$(CARGO_FOLDER)) $(if $(TARGET),--target $(TARGET))
CARGO_OUT := $(CARGO_FOLDER)$(if $(TARGET),/$(TARGET))
SCRIPTS := .ci/run scripts/setup testing/cargo-runner
C_SOURCES = $(shell git -c 'safe.directory=*' ls-files '*.c' '*.h' '*.cc' '*.cpp' ':!include/ksyscall.h')
SOURCES := $(shell find src -type f) build.rs Cargo.toml Cargo.lock

MAP := src/capi/libksyscall.map
C_FILES := entry links perf_event_open
FILES := $(C_FILES:%=src/capi/%.c) src/capi/syscall.S
# C library functions that late.c looks up when they are first called.
LATE := $(shell sed -n '/^LATE/s/[^,]*, \([a-z_]*\),.*/\1/p' src/capi/late.c)

# The library depends only on the C library and runs no code at load time. It is never unloaded,
# because links hold the address of their detach function. It exports no symbol from core.a.
LINK := -shared -nostartfiles -static-libgcc -Wl,-soname,$(SONAME) -Wl,--version-script=$(MAP) \
	-Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,defs -Wl,--eh-frame-hdr \
	-Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,-z,noexecstack -Wl,-Bsymbolic-functions \
	$(LATE:%=-Wl,--wrap=%)
# Before glibc 2.34, dlsym() and some functions that late.c looks up are in these libraries. In newer versions and
# in musl, the libraries are empty archives.
LIBS := -Wl,--push-state,--no-as-needed -lpthread -ldl -Wl,--pop-state
# The hardening flags that the compiler supports. CFLAGS comes after these flags, and can override them.
HARDENING = $(shell for flag in -fstack-protector-strong -fstack-clash-protection -fcf-protection \
		-mbranch-protection=standard; do \
		$(CC) -Werror $$flag -x c -c /dev/null -o /dev/null 2>/dev/null && echo $$flag; \
	done) $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
# -fexceptions lets an exception from the program's print callback propagate through these files' functions.
# -ffile-prefix-map keeps the name of the build folder out of the debugging information.
# The last two flags override CFLAGS: the exported functions must be visible, and objcopy cannot edit LTO objects.
C_FLAGS = -std=gnu11 -O2 -fPIC -fno-plt -fexceptions -ffunction-sections -Wall -Wextra -Wformat=2 -Werror \
	$(call quoted,-ffile-prefix-map=$(CURDIR)=.) $(HARDENING) $(CPPFLAGS) $(CFLAGS) \
	-fvisibility=default -fno-lto
EXPORTS := $(shell sed -n 's/^\t\([a-z_]*\);$$/\1/p' $(MAP))
# The exported functions that libbpf lacks, and those that libbpf also exports.
OWN := $(filter ksyscall_%,$(EXPORTS))
WRAPPED := $(filter-out $(OWN),$(EXPORTS))

PAGES := man/bpf_program__attach_ksyscall.3 man/ksyscall_links__attach.3

# Otherwise, after a full disk, make would take an incomplete file for a complete one.
.DELETE_ON_ERROR:

# Everything that `make install` installs, so that root need not run cargo.
.PHONY: default
default: all $(if $(filter yes,$(CLI)),cli)

.PHONY: all
all: $(BUILD)/libksyscall.so $(BUILD)/libksyscall.a

$(BUILD)/libksyscall.so: $(LIBRARY)
	ln -sf libksyscall.so.$(VERSION) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $@

$(BUILD)/core.a: $(SOURCES) Makefile
	@mkdir -p $(BUILD)
	$(CARGO) rustc $(CARGO_OPTIONS) --profile capi --lib --crate-type staticlib \
		--no-default-features --features capi -- -C relro-level=partial
	# Rust's core library comes with unwind tables, but this code never unwinds.
	$(OBJCOPY) --remove-section .eh_frame --remove-section '.ARM.ex*' --strip-debug $(call quoted,$(CARGO_OUT)/capi/libksyscall.a) $@

$(LIBRARY): $(BUILD)/core.a $(FILES) src/capi/late.c src/capi/say.h $(MAP)
	$(CC) $(C_FLAGS) $(LINK) $(LDFLAGS) -s -o $@ $(FILES) src/capi/late.c $(BUILD)/core.a $(LIBS)

# The library for programs that link a static libbpf (see src/capi/static.c). Only the exported functions
# are visible in whole.o, which contains the library's code.
$(BUILD)/libksyscall.a: $(BUILD)/core.a $(wildcard src/capi/*.[chS]) $(MAP)
	for file in $(FILES) src/capi/static.c src/capi/plain.c src/capi/unwrapped.c; do \
		$(CC) $(C_FLAGS) -DKSYSCALL_STATIC -c $$file -o $(BUILD)/$$(basename $${file%.*}).o || exit 1; \
	done
	$(OBJCOPY) $(foreach name,dlsym dlopen dlclose dladdr,--redefine-sym $(name)=ksyscall_$(name)) $< $(BUILD)/static-core.a
	$(CC) -r -nostdlib -o $(BUILD)/whole.o $(patsubst src/capi/%,$(BUILD)/%.o,$(basename $(FILES))) $(BUILD)/static.o $(BUILD)/static-core.a
	$(OBJCOPY) $(OWN:%=--keep-global-symbol=%) $(WRAPPED:%=--keep-global-symbol=__wrap_%) $(BUILD)/whole.o
	rm -f $@
	$(AR) rcsD $@ $(foreach file,whole plain unwrapped,$(BUILD)/$(file).o)

.PHONY: cli
cli: $(BUILD)/ksyscall ## build the command, build/ksyscall, and its shell completions

$(BUILD)/ksyscall: $(SOURCES) $(if $(wildcard cli),$(shell find cli -type f)) Makefile
	CLANG="$(CLANG)" $(CARGO) build $(CARGO_OPTIONS) --release -p ksyscall-cli
	@mkdir -p $(BUILD)/completions
	for shell in bash zsh fish; do \
		$(call quoted,$(CARGO_OUT)/release/ksyscall) completion $$shell > $(BUILD)/completions/$$shell || exit 1; \
	done
	install -m 755 $(call quoted,$(CARGO_OUT)/release/ksyscall) $@

.PHONY: help
help:
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

.PHONY: header
header: ## regenerate include/ksyscall.h
	WRITE_HEADER=1 $(CARGO) test --locked --quiet --test header

# The installed path of a file, for the shell.
to = $(call quoted,$(DESTDIR)$(1))
# The folders where bash, zsh and fish look for completions.
COMPLETION_bash := bash-completion/completions/ksyscall
COMPLETION_zsh := zsh/site-functions/_ksyscall
COMPLETION_fish := fish/vendor_completions.d/ksyscall.fish

.PHONY: install
install: default ## install under DESTDIR, PREFIX, LIBDIR, INCLUDEDIR, MANDIR, BINDIR; CLI=no leaves out the command
	install -d $(call to,$(LIBDIR)/pkgconfig) $(call to,$(INCLUDEDIR)) $(call to,$(MANDIR)/man3)
	install -m 755 $(LIBRARY) $(call to,$(LIBDIR))
	ln -sf libksyscall.so.$(VERSION) $(call to,$(LIBDIR)/$(SONAME))
	ln -sf $(SONAME) $(call to,$(LIBDIR)/libksyscall.so)
	install -m 644 $(BUILD)/libksyscall.a $(call to,$(LIBDIR))
	ln -sf libksyscall.a $(call to,$(LIBDIR)/libksyscall-static.a)
	for name in libksyscall libksyscall-static; do \
		file=$(call to,$(LIBDIR)/pkgconfig)/$$name.pc; \
		sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
			-e 's|@VERSION@|$(VERSION)|' -e 's|@WRAP@|$(WRAPPED:%=-Wl,--wrap=%)|' \
			-e 's|@RENAME@|$(foreach name,$(WRAPPED),-D$(name)=__wrap_$(name))|' $$name.pc.in > "$$file" && \
		chmod 644 "$$file" || exit 1; \
	done
	install -m 644 include/ksyscall.h include/ksyscall.bpf.h $(call to,$(INCLUDEDIR))
	install -m 644 $(PAGES) $(call to,$(MANDIR)/man3)
	for name in $(filter-out ksyscall_links__attach,$(OWN)); do \
		ln -sf ksyscall_links__attach.3 $(call to,$(MANDIR)/man3)/$$name.3 || exit 1; \
	done
ifeq ($(CLI),yes)
	install -d $(call to,$(BINDIR)) $(call to,$(MANDIR)/man1)
	install -m 755 $(BUILD)/ksyscall $(call to,$(BINDIR))
	install -m 644 man/ksyscall.1 $(call to,$(MANDIR)/man1)
	install -D -m 644 $(BUILD)/completions/bash $(call to,$(COMPLETIONS)/$(COMPLETION_bash))
	install -D -m 644 $(BUILD)/completions/zsh $(call to,$(COMPLETIONS)/$(COMPLETION_zsh))
	install -D -m 644 $(BUILD)/completions/fish $(call to,$(COMPLETIONS)/$(COMPLETION_fish))
endif

.PHONY: uninstall
uninstall: ## remove what make install installed
	rm -f $(foreach file,libksyscall.so libksyscall.a libksyscall-static.a pkgconfig/libksyscall.pc pkgconfig/libksyscall-static.pc,$(call to,$(LIBDIR)/$(file))) $(call to,$(LIBDIR)/libksyscall.so.)*
	rm -f $(foreach file,ksyscall.h ksyscall.bpf.h,$(call to,$(INCLUDEDIR)/$(file))) $(foreach page,$(PAGES:man/%=%) $(OWN:%=%.3),$(call to,$(MANDIR)/man3/$(page)))
	rm -f $(call to,$(BINDIR)/ksyscall) $(call to,$(MANDIR)/man1/ksyscall.1) $(foreach shell,bash zsh fish,$(call to,$(COMPLETIONS)/$(COMPLETION_$(shell))))

.PHONY: demo
demo: ## compare libbpf and libksyscall on a kernel in a virtual machine
	scripts/setup demo
	$(PYTHON) -m testing.demo

.PHONY: bench
bench: ## measure attaching, compared with libbpf and others; writes docs/performance.md
	scripts/setup bench
	$(PYTHON) -m testing.bench

.PHONY: bench-many
bench-many: ## measure attaching to many calls at once; writes docs/performance-many.md
	scripts/setup bench
	$(PYTHON) -m testing.bench_many

.PHONY: bench-count
bench-count: ## measure what `ksyscall count` adds to a call, compared with other tools; writes docs/performance-count.md
	scripts/setup bench
	$(PYTHON) -m testing.bench_count

.PHONY: picture
picture: ## draw the output of `ksyscall count` and `make demo`: docs/count.svg, docs/demo.svg
	scripts/setup demo
	$(PYTHON) -m testing.picture

.PHONY: test
test: ## run the tests without a kernel, all others once on Linux 6.12 in a virtual machine, and a few on s390x
	scripts/setup test
	$(TESTS) --short

.PHONY: test-all
test-all: ## run the tests of make test on every kernel and with every libbpf; MATRIX="arm64:sid ..." for other cells
	scripts/setup matrix
	$(TESTS) $(if $(MATRIX),--matrix '$(MATRIX)')

.PHONY: sanitize
sanitize: ## run only the test of many threads under ThreadSanitizer
	scripts/setup test
	$(TESTS) -k test_sanitize

.PHONY: deb
deb: ## build Debian packages in build/deb and test them, in clean roots; SUITES=trixie for one suite
	scripts/setup deb
	$(PYTHON) -m testing.deb $(SUITES)

.PHONY: test-matrix
test-matrix: ## test every system call and its arguments on every architecture; MATRIX="arm64:sid ..." for some
	scripts/setup matrix
	$(TESTS)/test_matrix.py testing/test_arguments.py --matrix '$(or $(MATRIX),all)'

.PHONY: test-x32
test-x32: ## test every system call of x32, on a kernel built for it
	scripts/setup x32
	$(TESTS)/test_x32.py --x32

.PHONY: measure-returns
measure-returns: ## measure how many returns each kind of probe sees; writes docs/returns.md
	scripts/setup test
	$(PYTHON) -m testing.returns

.PHONY: tables
tables: ## regenerate src/calls/tables; TREES="..." are the kernel sources that Debian lacks
	$(PYTHON) -m tools.syscall_tables --fetch $(TREES)

.PHONY: fuzz
fuzz: ## fuzz the parsers; RUNS=1000000 for more than 20000 inputs per target
	scripts/setup fuzz
	$(PYTHON) -m testing.fuzz

.PHONY: mutants
mutants: ## introduce small bugs in a copy of the tree; a test must catch each; MUTANTS="words" for some
	scripts/setup test
	$(PYTHON) -m testing.mutants $(MUTANTS)

.PHONY: checks
checks: ## check the docs' links, the man pages, and the crates' licences and Rust versions
	scripts/setup lint
	$(PYTHON) -m testing.checks
	build/lint/bin/cargo-deny --offline --log-level error check licenses bans sources
	mandoc -T lint -W warning $(PAGES) man/ksyscall.1

.PHONY: lint
lint: checks ## check formatting and lints, and what `make checks` checks
	scripts/setup lint
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path benches/rust/Cargo.toml
	$(CARGO) fmt --check --manifest-path ebpf/Cargo.toml
	rustfmt --check --edition 2024 --config-path . ebpf/doc/pread.rs c-tests/matrix/arguments.bpf.rs
	$(CARGO) clippy --locked --quiet --all-targets -- -D warnings
	# `test = false` excludes the test `kernel` from --all-targets.
	$(CARGO) clippy --locked --quiet --test kernel -- -D warnings
	$(CARGO) clippy --locked --quiet --all-targets --features capi -- -D warnings
	$(CARGO) clippy --locked --quiet --no-default-features --features capi -- -D warnings
	$(CARGO) clippy --locked --quiet --all-targets --manifest-path ebpf/Cargo.toml -- -D warnings
	$(CARGO) clippy --locked --quiet --all-targets -p ksyscall -p ksyscall-cli --features ksyscall/all-tables -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --quiet --no-deps --features all-tables
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --quiet --no-deps --manifest-path ebpf/Cargo.toml
	shellcheck $(SCRIPTS)
	build/lint/bin/ruff check testing tools
	PYTHONPATH=build/lint build/lint/bin/clang-format --dry-run -Werror $(C_SOURCES)

.PHONY: clean
clean: ## remove build and target; downloaded kernels and packages stay
	rm -rf build target
