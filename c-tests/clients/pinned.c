/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One process attaches, pins its link and ends; another opens the pin, finds the
 * program still attached, tries what can be done to a link, and unpins it.
 */
#include "client.h"

#include <sys/wait.h>

#include "calls.skel.h"

#define PIN "/sys/fs/bpf/client-link"
#define MAP "/sys/fs/bpf/client-map"

/* What the kernel says to a link of a perf event: it has no such operation. */
static void try_changes(struct bpf_link *link, struct bpf_program *other)
{
	did("update %d", -EINVAL);
	saw("update %d", bpf_link__update_program(link, other));
	did("detach %d", -EOPNOTSUPP);
	saw("detach %d", bpf_link__detach(link));
}

static void first_process(void)
{
	struct calls_bpf *skeleton = calls_bpf__open_and_load();
	CHECK(skeleton);
	struct bpf_link *link = bpf_program__attach(skeleton->progs.on_entry);
	CHECK(link);
	CHECK(bpf_link__pin_path(link) == NULL);
	did("pin 0");
	saw("pin %d", bpf_link__pin(link, PIN));
	did("pin path " PIN);
	saw("pin path %s", bpf_link__pin_path(link));
	did("pin again %d", -EBUSY);
	saw("pin again %d", bpf_link__pin(link, PIN "2"));
	try_changes(link, skeleton->progs.on_other);
	CHECK(bpf_map__pin(skeleton->maps.bss, MAP) == 0);
	did("destroy 0");
	saw("destroy %d", bpf_link__destroy(link));
	calls_bpf__destroy(skeleton);
}

static unsigned long entries(int map)
{
	struct calls_bpf__bss bss;
	__u32 zero = 0;
	CHECK(bpf_map_lookup_elem(map, &zero, &bss) == 0);
	return bss.entries;
}

static void call(void)
{
	syscall(SYS_getpgid, NOBODY);
}

static void second_process(void)
{
	int map = bpf_obj_get(MAP);
	CHECK(map >= 0);
	unsigned long before = entries(map);
	call();
	call();
	did("2 calls of another process");
	saw("%lu calls of another process", entries(map) - before);

	struct bpf_link *link = bpf_link__open(PIN);
	CHECK(link);
	did("open path " PIN);
	saw("open path %s", bpf_link__pin_path(link));
	struct calls_bpf *skeleton = calls_bpf__open_and_load();
	CHECK(skeleton);
	try_changes(link, skeleton->progs.on_other);
	calls_bpf__destroy(skeleton);
	did("unpin 0");
	saw("unpin %d", bpf_link__unpin(link));
	did("pin file is gone: 1");
	saw("pin file is gone: %d", access(PIN, F_OK) != 0);
	before = entries(map);
	call();
	did("1 call while the link is open");
	saw("%lu call while the link is open", entries(map) - before);
	did("destroy 0");
	saw("destroy %d", bpf_link__destroy(link));
	/* The kernel may need a moment; the time limit of the guest ends the wait. */
	do {
		before = entries(map);
		call();
	} while (entries(map) != before && sched_yield() == 0);
	did("0 calls after that");
	saw("%lu calls after that", entries(map) - before);
	CHECK(unlink(MAP) == 0);
}

int main(int argc, char **argv)
{
	int status;
	if (argc == 2) {
		if (strcmp(argv[1], "first") == 0)
			first_process();
		else
			second_process();
		return 0;
	}
	char *processes[] = { "first", "second" };
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			execl("/proc/self/exe", argv[0], processes[i], NULL);
			DIE("exec");
		}
		CHECK(waitpid(child, &status, 0) == child);
		if (status != 0)
			return 1;
	}
	return 0;
}
