/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches with options that consist of arbitrary bytes, on a simulated kernel that accepts everything. Cases
 * are named options/CLASS/SIZE-NUMBER or options/beyond-BYTE/SIZE.
 */
#include "answers.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <linux/perf_event.h>

/* The simulated kernel. The simulation is fast, because it opens no probes and attaches no programs. */
static struct {
	bool plays;
	__u64 config;
	__u64 cookie;
} pretence;

/* Simulates perf_event_open() and BPF_LINK_CREATE for both libksyscall and libbpf. */
static void on_call(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	(void)signal;
	if (info->si_syscall == SYS_perf_event_open)
		pretence.config = ((const struct perf_event_attr *)registers[REG_RDI])->config;
	else
		pretence.cookie =
			((const union bpf_attr *)registers[REG_RSI])->link_create.perf_event.bpf_cookie;
	registers[REG_RAX] = dup(0);
}

/*
 * Starts the simulation for this process. A seccomp filter is necessary: libksyscall makes system calls
 * directly, whereas libbpf makes them through the C library.
 */
static void pretend(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_LINK_CREATE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sigaction action = { .sa_sigaction = on_call, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGSYS, &action, NULL) == 0);
	filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
	pretence.plays = true;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	long argument = va_arg(list, long);
	va_end(list);
	if (pretence.plays)
		return 0;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

enum { PAGE = 4096, COOKIE_AT = 8, RETPROBE_AT = 16, END_OF_FIELDS = 17 };

static unsigned char *page_end;

static __u64 random_bits(void)
{
	static __u64 state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Like ask(), but on the simulated kernel. */
static void ask_pretending(const struct question *q)
{
	pretence.config = pretence.cookie = ~0ULL;
	errno = 0;
	struct bpf_link *link = bpf_program__attach_ksyscall(q->prog, q->name, q->opts);
	if (link) {
		part("link");
		part("config %#llx", (unsigned long long)pretence.config);
		part(pretence.cookie == q->cookie ? "its cookie" : "another cookie");
		say_destroy(link);
	} else {
		part("%s", errno_name(errno));
	}
	finish();
}

/*
 * Attaches with `sz` bytes as options; the memory after them is unreadable. The case's name states
 * which options the bytes set.
 */
static void ask_image(const unsigned char *bytes, size_t sz)
{
	static int number;
	const char *class = "plain";
	size_t room = sz < sizeof(sz) ? sizeof(sz) : sz;
	unsigned char *place = page_end - room;
	__u64 cookie = 0;
	bool retprobe = sz > RETPROBE_AT && bytes[RETPROBE_AT];
	memcpy(place, bytes, room);
	memcpy(place, &sz, sizeof(sz));
	if (sz >= COOKIE_AT + sizeof(cookie))
		memcpy(&cookie, bytes + COOKIE_AT, sizeof(cookie));
	if (cookie || retprobe)
		class = !cookie ? "return" : !retprobe ? "cookie" : "cookie-return";
	for (size_t i = END_OF_FIELDS; i < sz; i++)
		if (bytes[i])
			class = "unknown";
	if (sz < sizeof(sz))
		class = "short";
	begin("options/%s/%zu-%d", class, sz, ++number);
	ask_pretending(&(struct question){
		.prog = probe(false), .name = CALL, .opts = (void *)place, .cookie = cookie });
}

/* Randomizes all bytes after the size field. */
static void random_image(unsigned char *bytes, size_t sz)
{
	for (size_t i = COOKIE_AT; i < sz; i++)
		bytes[i] = (unsigned char)random_bits();
}

void ask_options(void)
{
	static unsigned char bytes[PAGE];
	page_end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page_end != MAP_FAILED);
	page_end += PAGE;
	/* Protect the page rather than unmap it, so that nothing else is mapped there. */
	CHECK(mprotect(page_end, PAGE, PROT_NONE) == 0);
	/* Let the library detect the real kernel's features before the simulation starts. */
	DESTROY(ATTACH(probe(false), CALL, NULL));
	pretend();
	for (size_t sz = 0; sz <= PAGE; sz++) {
		size_t fields = sz < END_OF_FIELDS ? sz : END_OF_FIELDS;
		memset(bytes, 0, sizeof(bytes));
		random_image(bytes, fields);
		ask_image(bytes, sz);
		if (sz > COOKIE_AT)
			bytes[COOKIE_AT + random_bits() % (sz - COOKIE_AT)] =
				(unsigned char)(1 << random_bits() % 8);
		ask_image(bytes, sz);
		random_image(bytes, sz);
		ask_image(bytes, sz);
	}
	for (size_t i = COOKIE_AT; i < PAGE; i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[i] = (unsigned char)(1 << i % 8);
		ask_image(bytes, PAGE);
	}
	for (size_t sz = COOKIE_AT; sz <= 32; sz++) {
		for (size_t bit = COOKIE_AT * 8; bit < sz * 8; bit++) {
			memset(bytes, 0, sizeof(bytes));
			bytes[bit / 8] = (unsigned char)(1 << bit % 8);
			ask_image(bytes, sz);
		}
	}
	/* Sizes beyond the available memory, up to values that are negative as ssize_t. */
	static const size_t too_large[] = { 25,
					    PAGE,
					    SSIZE_MAX,
					    (size_t)SSIZE_MAX + 1,
					    (size_t)SSIZE_MAX + 17,
					    (size_t)SSIZE_MAX + 18,
					    SIZE_MAX - 16,
					    SIZE_MAX };
	for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]); i++) {
		for (int unknown = 0; unknown < 2; unknown++) {
			struct bpf_ksyscall_opts *opts = (void *)(page_end - sizeof(*opts));
			memset(opts, 0, sizeof(*opts));
			opts->sz = too_large[i];
			page_end[-1] = (unsigned char)unknown;
			begin("options/beyond-%s/%zu", unknown ? "unknown" : "zero", too_large[i]);
			in_peril(ask_pretending,
				 &(struct question){ .prog = probe(false), .name = CALL, .opts = opts });
		}
	}
}
