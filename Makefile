# libksyscall: build, install, demo, test. `make help` lists the targets.

PREFIX ?= /usr/local
# The multiarch folder where the system has one (Debian), else lib.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man

CARGO ?= cargo
OBJCOPY ?= objcopy
# Where the library is built, and for which Rust target (default: this machine's).
BUILD ?= build
TARGET ?=

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
MAJOR := $(firstword $(subst ., ,$(VERSION)))
SONAME := libksyscall.so.$(MAJOR)
LIBRARY := $(BUILD)/libksyscall.so.$(VERSION)

CARGO_OUT := $(or $(CARGO_TARGET_DIR),target)$(if $(TARGET),/$(TARGET))
SCRIPTS = $(shell grep -lsE '^\#!.*sh$$' .ci/run $(foreach folder,scripts tests c-tests differential fuzz matrix vm,$(folder)/*))
SOURCES := $(shell find src -type f) build.rs cbindgen.toml Cargo.toml Cargo.lock

# Needed from the C library alone, nothing run at load time, and never unloaded:
# links hold the address of their detach function.
LINK := -shared -nostartfiles -static-libgcc -Wl,-soname,$(SONAME) -Wl,--version-script=src/capi/libksyscall.map \
	-Wl,-u,bpf_program__attach_ksyscall -Wl,--gc-sections -Wl,-z,defs \
	-Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,-z,noexecstack -Wl,-z,noseparate-code

.PHONY: all
all: $(BUILD)/libksyscall.so

$(BUILD)/libksyscall.so: $(LIBRARY)
	ln -sf libksyscall.so.$(VERSION) $(BUILD)/$(SONAME)
	ln -sf $(SONAME) $@

$(LIBRARY): $(SOURCES) Makefile
	@mkdir -p $(BUILD)
	$(CARGO) rustc --locked --profile capi --lib --crate-type staticlib \
		--no-default-features --features capi $(if $(TARGET),--target $(TARGET))
	# Rust's core comes with unwind tables; nothing here unwinds.
	$(OBJCOPY) --remove-section .eh_frame --remove-section '.ARM.ex*' --strip-debug $(CARGO_OUT)/capi/libksyscall.a $(BUILD)/libksyscall.a
	$(CC) $(LINK) $(LDFLAGS) -s -o $@ $(BUILD)/libksyscall.a

.PHONY: help
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

.PHONY: header
header: ## make include/ksyscall.h anew
	$(CARGO) build --locked --features capi
	cp "$$(ls -t target/debug/build/ksyscall-*/out/ksyscall.h | head -1)" include/ksyscall.h

.PHONY: install
install: all ## install under DESTDIR, PREFIX, LIBDIR, INCLUDEDIR, MANDIR
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(MANDIR)/man3
	install -m 755 $(LIBRARY) $(DESTDIR)$(LIBDIR)
	ln -sf libksyscall.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libksyscall.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' libksyscall.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/libksyscall.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/libksyscall.pc
	install -m 644 include/ksyscall.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 man/bpf_program__attach_ksyscall.3 $(DESTDIR)$(MANDIR)/man3

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libksyscall.so libksyscall.so.* pkgconfig/libksyscall.pc)
	rm -f $(DESTDIR)$(INCLUDEDIR)/ksyscall.h $(DESTDIR)$(MANDIR)/man3/bpf_program__attach_ksyscall.3

.PHONY: demo
demo: ## show libbpf and libksyscall side by side, on a kernel in a virtual machine
	scripts/setup demo
	scripts/demo

.PHONY: test
test: ## run all tests, those that need a kernel in virtual machines
	scripts/setup test
	scripts/test

.PHONY: sanitize
sanitize: ## the test of many threads alone, under ThreadSanitizer
	scripts/setup test
	tests/sanitize

.PHONY: test-matrix
test-matrix: ## attach to every system call of every architecture; MATRIX="arm64:sid ..." for some
	scripts/setup matrix
	matrix/run $(MATRIX)

.PHONY: tables
tables: ## make src/tables anew; TREES="..." are kernel sources, scripts/syscall-tables says which
	scripts/syscall-tables $(TREES)

.PHONY: fuzz
fuzz: ## fuzz the parsers; RUNS=1000000 for more inputs than 20000 a target
	scripts/setup fuzz
	fuzz/run

.PHONY: lint
lint: ## check the form of the code
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --quiet --all-targets -- -D warnings
	$(CARGO) clippy --locked --quiet --all-targets --features capi -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --quiet --no-deps
	shellcheck $(SCRIPTS)

.PHONY: clean
clean: ## remove what was built, but not downloaded kernels and packages
	rm -rf build target
