/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls libbpf's functions on the link. Cases are named link/QUESTION. */
#include "answers.h"

#include <fcntl.h>

static const char PIN[] = "/sys/fs/bpf/ksyscall-differential";
static const char OTHER_PIN[] = "/sys/fs/bpf/ksyscall-differential-2";

#define SAY(name, call)                          \
	do {                                     \
		errno = 0;                       \
		part(name " %s", outcome(call)); \
	} while (0)

static void say_runs(void)
{
	part("runs %d", runs(0, SYS_getpgid));
}

static void say_path(const struct bpf_link *link)
{
	part("path %s", bpf_link__pin_path(link) ?: "none");
}

/* Every question uses the entry program without a cookie, which counts in slot 0. */
static struct bpf_link *attached(void)
{
	return ATTACH(probe(false), CALL, NULL);
}

static void own_fd(void)
{
	struct bpf_link *link = attached();
	part("%s", bpf_link__fd(link) >= 0 ? "open" : "none");
	part("%s", fcntl(bpf_link__fd(link), F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "inherited");
	struct bpf_link_info info = { 0 };
	struct bpf_prog_info prog_info = { 0 };
	__u32 size = sizeof(info), prog_size = sizeof(prog_info);
	SAY("info", bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size));
	SAY("program", bpf_obj_get_info_by_fd(bpf_program__fd(probe(false)), &prog_info, &prog_size));
	part("type %u", info.type);
	part("program %s", info.prog_id == prog_info.id ? "its" : "another");
	say_destroy(link);
}

static void number_of_fds(void)
{
	int fds = count_fds();
	struct bpf_link *link = attached();
	part("holds %d", count_fds() - fds);
	say_destroy(link);
	part("holds %d", count_fds() - fds);
}

static void pin(void)
{
	struct bpf_link *link = attached();
	say_path(link);
	SAY("pin", bpf_link__pin(link, PIN));
	say_path(link);
	SAY("again", bpf_link__pin(link, PIN));
	SAY("elsewhere", bpf_link__pin(link, OTHER_PIN));
	SAY("unpin", bpf_link__unpin(link));
	say_path(link);
	part("file %s", access(PIN, F_OK) == 0 ? "there" : "gone");
	SAY("unpin", bpf_link__unpin(link));
	SAY("elsewhere", bpf_link__pin(link, OTHER_PIN));
	SAY("unpin", bpf_link__unpin(link));
	say_runs();
	say_destroy(link);
	say_runs();
}

static void pin_badly(void)
{
	struct bpf_link *link = attached();
	SAY("not a bpffs", bpf_link__pin(link, "/tmp/ksyscall-differential"));
	SAY("no folder", bpf_link__pin(link, "/no/such/folder/pin"));
	SAY("pin", bpf_link__pin(link, PIN));
	struct bpf_link *second = attached();
	SAY("taken", bpf_link__pin(second, PIN));
	say_destroy(second);
	SAY("unpin", bpf_link__unpin(link));
	say_destroy(link);
}

static void pin_outlives(void)
{
	struct bpf_link *link = attached();
	SAY("pin", bpf_link__pin(link, PIN));
	say_destroy(link);
	part("file %s", access(PIN, F_OK) == 0 ? "there" : "gone");
	say_runs();
	errno = 0;
	link = bpf_link__open(PIN);
	if (link && !libbpf_get_error(link)) {
		say_path(link);
		SAY("update", bpf_link__update_program(link, probe(false)));
		SAY("unpin", bpf_link__unpin(link));
		say_runs();
		say_destroy(link);
		/* After the last fd of an opened link is closed, the kernel may still be detaching the
		 * program. */
		wait_until_silent(&loaded.probes, 0);
	} else {
		part("open %s", errno_name(errno));
	}
}

static void update(void)
{
	struct bpf_link *link = attached();
	SAY("same", bpf_link__update_program(link, probe(false)));
	SAY("other", bpf_link__update_program(link, probe(true)));
	SAY("unloaded", bpf_link__update_program(link, program_of(UNLOADED, false)));
	SAY("socket", bpf_link__update_program(link, program_of(SOCKET, false)));
	/* Old versions of libbpf lack bpf_link__update_map(). */
	int (*update_map)(struct bpf_link *, const struct bpf_map *) = dlsym(RTLD_DEFAULT,
									     "bpf_link__update_map");
	if (update_map)
		SAY("map", update_map(link, bpf_object__find_map_by_name(loaded.probes.object, "calls")));
	say_runs();
	say_destroy(link);
	say_runs();
}

static void detach(void)
{
	struct bpf_link *link = attached();
	SAY("detach", bpf_link__detach(link));
	say_runs();
	say_destroy(link);
	say_runs();
}

static void disconnect(void)
{
	struct bpf_link *link = attached();
	int fd = bpf_link__fd(link);
	bpf_link__disconnect(link);
	part("%s", bpf_link__fd(link) == fd ? "same fd" : "another fd");
	say_runs();
	say_destroy(link);
	say_runs();
	SAY("close", close(fd));
	say_runs();
}

static void disconnect_pin(void)
{
	struct bpf_link *link = attached();
	int fd = bpf_link__fd(link);
	SAY("pin", bpf_link__pin(link, PIN));
	bpf_link__disconnect(link);
	SAY("unpin", bpf_link__unpin(link));
	say_destroy(link);
	SAY("close", close(fd));
	say_runs();
}

static void close_fd(void)
{
	struct bpf_link *link = attached();
	SAY("close", close(bpf_link__fd(link)));
	say_destroy(link);
	say_runs();
}

static void two(void)
{
	struct bpf_link *link = attached(), *second = attached();
	say_runs();
	say_destroy(link);
	say_runs();
	say_destroy(second);
	say_runs();
}

static void null(void)
{
	say_destroy(NULL);
}

static void child_exits(void)
{
	struct bpf_link *link = attached();
	IN_CHILD(_exit(PASSED));
	say_runs();
	say_destroy(link);
}

static void child_destroys(void)
{
	struct bpf_link *link = attached();
	IN_CHILD(bpf_link__destroy(link));
	say_runs();
	say_destroy(link);
	say_runs();
}

static void object_closed_first(void)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int calls = dup(p.calls);
	unload(&p);
	p.calls = calls;
	part("%s", fires(&p, ON_ENTRY) ? "runs" : "does not run");
	say_destroy(link);
	part("%s", fires(&p, ON_ENTRY) ? "runs" : "does not run");
	close(calls);
}

void ask_links(void)
{
	static const struct {
		const char *name;
		void (*ask)(void);
	} questions[] = {
		{ "fd", own_fd },
		{ "fds", number_of_fds },
		{ "pin", pin },
		{ "pin-badly", pin_badly },
		{ "pin-outlives", pin_outlives },
		{ "update", update },
		{ "detach", detach },
		{ "disconnect", disconnect },
		{ "disconnect-pin", disconnect_pin },
		{ "close-fd", close_fd },
		{ "two", two },
		{ "null", null },
		{ "child-exits", child_exits },
		{ "child-destroys", child_destroys },
		{ "object-closed-first", object_closed_first },
	};
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		begin("link/%s", questions[i].name);
		questions[i].ask();
		finish();
	}
}
