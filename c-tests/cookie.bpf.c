/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts calls separately for each cookie. Requires Linux 5.15. */
#include "record.bpf.h"

SEC("kprobe/entry")
int on_entry_by_cookie(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct calls *seen = record(cookie % SLOTS);
	if (seen) {
		seen->argument = first_argument(ctx);
		seen->cookie = cookie;
	}
	return 0;
}

SEC("kprobe/return")
int on_return_by_cookie(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct calls *seen = record(cookie % SLOTS);
	if (seen) {
		seen->result = PT_REGS_RC(ctx);
		seen->cookie = cookie;
	}
	return 0;
}
