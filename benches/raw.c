/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures the lower bound: the three system calls that every attach requires if the symbol is known,
 * and the one call that a destroy requires. Looks up nothing and reports no error details.
 */
#include "bench.h"

#include <stdint.h>

#include <linux/bpf.h>
#include <linux/perf_event.h>

static int program, type;

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static void load(bool is_return)
{
	/* return 0; */
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_KPROBE,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(insns[0]),
		.license = (uintptr_t)"GPL",
	};
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "r");

	(void)is_return;
	if (!file || fscanf(file, "%d", &type) != 1)
		die("the kprobe PMU");
	fclose(file);
	program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		die("BPF_PROG_LOAD");
}

static struct link *attach(const struct target *target, bool is_return)
{
	struct perf_event_attr event = {
		.size = sizeof(event),
		.type = (uint32_t)type,
		/* Bit 0, see /sys/bus/event_source/devices/kprobe/format/retprobe. */
		.config = is_return,
		.config1 = (uintptr_t)target->symbol,
	};
	union bpf_attr link = { 0 };
	int fd;

	link.link_create.prog_fd = (uint32_t)program;
	link.link_create.attach_type = BPF_PERF_EVENT;
	link.link_create.target_fd = (uint32_t)syscall(SYS_perf_event_open, &event, -1, 0, -1,
						       PERF_FLAG_FD_CLOEXEC);
	if ((int)link.link_create.target_fd < 0)
		die("perf_event_open");
	fd = bpf(BPF_LINK_CREATE, &link);
	if (fd < 0)
		die("BPF_LINK_CREATE");
	close((int)link.link_create.target_fd);
	return (struct link *)(intptr_t)fd;
}

static void destroy(struct link *link)
{
	if (close((int)(intptr_t)link))
		die("close");
}
